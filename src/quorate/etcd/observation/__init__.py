"""What the cluster is like. Nothing here changes anything."""
