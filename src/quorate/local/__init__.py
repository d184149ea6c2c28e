"""The embedded cluster: real etcd processes on this machine, over TLS, each joined as a learner."""
