"""What a process of ours serves over HTTP: read-only, bounded in time, size and number of connections."""
