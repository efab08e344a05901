"""Gatehouse: the LTI 1.3 tool that gates modules, witnesses live presence and awards continuing-education credit."""
