"""How the kubelet and the static pods are started, and how a run waits until they are healthy."""
