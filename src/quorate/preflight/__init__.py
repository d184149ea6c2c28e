"""kubeadm's checks of a node before the first phase; each check yields its findings."""
