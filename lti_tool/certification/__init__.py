"""Certification: the tests that LTI 1.3 and Advantage ask of a tool, run against this one, with an evidence pack."""
