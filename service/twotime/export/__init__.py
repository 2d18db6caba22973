"""Results in forms that other people read."""
