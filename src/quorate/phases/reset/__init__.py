"""A whole reset, and each of its phases: the etcd member leaves, then the node is cleaned."""
