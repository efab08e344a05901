"""Backups of the database in one file, and their restoring, on SQLite and PostgreSQL."""
