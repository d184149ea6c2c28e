"""Backups: saved, checked, listed, copied and pruned; etcd's own snapshot bytes, and a manifest beside each."""
