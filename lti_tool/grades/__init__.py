"""What attendance earns: credit claims, awards, and the scores that platforms are sent."""
