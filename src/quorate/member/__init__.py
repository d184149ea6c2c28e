"""A member's etcd on this host: its flags, its data directory, its runtimes, and the checks of this host."""
