"""Ways back: a cluster from a backup."""
