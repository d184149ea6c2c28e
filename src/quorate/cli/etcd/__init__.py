"""`quorate etcd`: any etcd cluster, by its endpoints."""
