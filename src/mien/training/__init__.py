"""Training: configuration, the one loop, methods, checkpoints."""
