"""A mail server of the demo: it takes every message, delivers none, and shows them on a page."""
