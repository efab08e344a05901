"""Deep linking for staff of a course: what can be picked, who was sent to pick it, and the answer to the platform."""
