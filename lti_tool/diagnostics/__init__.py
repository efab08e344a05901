"""What keeps an installation or a unit of a course from working."""
