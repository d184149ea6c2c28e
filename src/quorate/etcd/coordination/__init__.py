"""Keys of quorate in etcd by which runs coordinate: places in the queue, records of joins, the lock for removals (decision
7)."""
