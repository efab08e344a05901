"""The staff desk: what needs a person, and why everything is as it is."""
