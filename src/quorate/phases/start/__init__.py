"""Starts the kubelet and the static pods, and waits until they are healthy."""
