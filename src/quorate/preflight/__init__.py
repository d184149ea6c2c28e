"""Checks before the first change: each looks at one thing of this host or of the way to the others, and returns findings."""
