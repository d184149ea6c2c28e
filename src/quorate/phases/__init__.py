"""kubeadm's phases, one file each, and their trees. Here configuration, certificates, manifests and the host meet."""
