"""What files of etcd say while no etcd runs: data directories and snapshots, read only, however damaged they are."""
