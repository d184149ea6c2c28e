"""A member's etcd on this host: its flags and data directory, what runs it, and the checks that concern this host alone."""
