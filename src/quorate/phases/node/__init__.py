"""What init and join write on a node, and what is read back from there."""
