"""What a face detector learns from, and how wrong it is."""
