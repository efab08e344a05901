"""Continuing-education credit: licences, claims and awards."""
