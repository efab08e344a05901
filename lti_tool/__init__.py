"""Gatehouse: the LTI 1.3 tool that gates modules, records live attendance and awards continuing-education credit."""
