"""What every stage of the pipeline takes on this machine, beside the least that it could take: `make bench`."""
