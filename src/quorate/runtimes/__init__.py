"""How a member's etcd is run on this host: as a plain process, or as a systemd unit."""
