"""Pages for trainees."""
