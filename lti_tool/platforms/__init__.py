"""How learning platforms come to be registered: by invitation, by file, and what staff see and decide."""
