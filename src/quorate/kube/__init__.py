"""The Kubernetes API: a small client, and kubeadm's objects as plain values."""
