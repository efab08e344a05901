"""Live sessions: their agenda, who was present in them, and for how many minutes."""
