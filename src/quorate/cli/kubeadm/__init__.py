"""kubeadm's commands: kubeadm's names and flags, run by our own code."""
