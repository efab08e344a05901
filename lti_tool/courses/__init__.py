"""Courses on learning platforms: what each unit of a course opens, and which course was copied from which."""
