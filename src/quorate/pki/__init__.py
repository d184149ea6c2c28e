"""Certificates: the only place that imports `cryptography`."""
