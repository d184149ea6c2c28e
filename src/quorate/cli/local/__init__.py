"""`quorate local`: an etcd cluster on this machine."""
