"""A whole reset, and each of its phases: the etcd member is removed, then the node is cleaned."""
