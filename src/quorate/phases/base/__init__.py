"""The base of every phase: the run's context, the runner of a tree, access to the API server, and heartbeats."""
