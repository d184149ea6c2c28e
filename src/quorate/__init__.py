"""quorate: bootstrap and grow Kubernetes control planes and etcd clusters without putting the quorum at risk."""

__version__ = "0.1.0"
