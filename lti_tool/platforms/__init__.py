"""How learning platforms are registered, and what their courses open."""
