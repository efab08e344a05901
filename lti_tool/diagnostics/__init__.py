"""What keeps an installation, or one unit of a course, from working, and where to fix it."""
