"""Side-by-side measurements: the tool against a peer and against the bare limit, on one machine in one run."""
