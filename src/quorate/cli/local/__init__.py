"""`quorate local`: a cluster on this machine."""
