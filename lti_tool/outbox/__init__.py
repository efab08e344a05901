"""The messages that people are to get: the occasions for mail, and what each person chose to receive."""
