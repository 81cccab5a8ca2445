"""From a network element's usage record to the landing zone: generate, produce, mediate."""
