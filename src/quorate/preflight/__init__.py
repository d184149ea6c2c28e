"""What kubeadm checks on a node before its first phase, each check one finding or none."""
