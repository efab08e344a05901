"""Pages for staff: the desk."""
