"""The programme document: its model, how it is read and checked, and its published versions."""
