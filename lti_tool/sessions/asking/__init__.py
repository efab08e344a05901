"""Participation beyond presence: questions put during a class, who answered, and what share a policy asks for."""
