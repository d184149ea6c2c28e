"""What every phase stands on: the run's context, the runner of a tree, the way to the API server, and heartbeats."""
