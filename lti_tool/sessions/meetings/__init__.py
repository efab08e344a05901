"""The Zoom meetings of classes to come: who is to have a place in them, and how they are to be set."""
