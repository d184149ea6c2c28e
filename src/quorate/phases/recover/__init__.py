"""A control-plane node whose etcd lost its majority is made the first of a new cluster."""
