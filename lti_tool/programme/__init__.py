"""The programme document: what it may say (`model`), how it is read and checked (`reader`), what changed (`diff`)."""
