"""A typed client of the real etcd's gRPC API, and the engine that observes a cluster and changes its membership."""
