"""Materials of modules: files and links with all their versions, what a file may be, and where it is kept."""
