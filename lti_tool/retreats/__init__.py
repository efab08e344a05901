"""Retreats: who may apply (the same gate as everywhere), the states of an application, and who was present."""
