"""kubeadm's objects in a cluster: configuration, certificates, tokens, addons, administrators, the labels of a node."""
