"""The tests of LTI Advantage certification, run against an installation."""
