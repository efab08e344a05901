"""Live sessions: their agenda, who was present in them, and what follows from that."""
