"""Mediation: what turns a message into a row of the landing zone.

`rules` says what is read and refused, `transform` applies it from DataFrame to DataFrame; neither does I/O.
`seen`, `land` and `topics` remember, store and pass on; `ingestion.stream_mediation` runs them as a stream.
"""
