"""Mail to people: what is decided about them, live sessions, reminders, and the digest for staff."""
