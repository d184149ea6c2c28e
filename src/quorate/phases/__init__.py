"""kubeadm's phases: where configuration, certificates, manifests and the host meet. One file per phase, and their trees."""
