"""The kill matrix: the real pipeline, disturbed on purpose, against the same pipeline left in peace. `make chaos`."""
