"""The set-up doctor: what launches and services have shown about how a platform's units are set up."""
