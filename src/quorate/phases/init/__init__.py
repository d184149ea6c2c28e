"""A whole init, and each of its phases."""
