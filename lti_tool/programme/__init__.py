"""The programme document: what it may say (`model`), how it is read (`loader`), checked and published (`versions`)."""
