"""What a cluster keeps of kubeadm's: configuration, certificates, tokens, addons, administrators, the labels of a node."""
