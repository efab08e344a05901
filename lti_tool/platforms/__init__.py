"""How learning platforms are registered: by invitation, by file; and what staff see and decide."""
