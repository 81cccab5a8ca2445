"""Traffic that looks like a network's: who calls whom, when, from where, and what goes wrong on the way."""
