"""A Zoom that plays a training day: signed deliveries in the shapes Zoom documents, and the truth behind them."""
