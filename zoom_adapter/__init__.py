"""Zoom's side of Gatehouse: deliveries in, presence out. Another conference system would be a second adapter."""
