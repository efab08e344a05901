"""A package, so that stage and browser end with its last test."""
