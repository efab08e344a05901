"""The LTI 1.3 protocol. Knows nothing of training."""
