"""How learning platforms are registered: by invitation, by file; what staff see and decide; what launches record."""
