"""All pages and forms, and what a web request needs."""
