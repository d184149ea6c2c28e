"""Fixtures of the tests on real etcd."""

from real.machines import machine, target

__all__ = ["machine", "target"]
