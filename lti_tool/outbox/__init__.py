"""Which messages are due to whom: the occasions on which people get mail, and what they chose to receive."""
