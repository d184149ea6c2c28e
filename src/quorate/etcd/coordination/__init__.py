"""What runs leave for each other in the cluster: places in the queue, records of joins, the lock for removals."""
