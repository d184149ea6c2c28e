"""What the kubelet runs: static pod manifests and the patches users put on them. Pure; written elsewhere."""
