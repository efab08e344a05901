"""What composes several subjects for one trainee: the dashboard, the page of a module, the way into a live session."""
