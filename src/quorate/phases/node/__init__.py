"""The files that init and join write on a node, and reading them back."""
