"""Paths that others wrote, in the form that Go's path/filepath makes of them. Pure: no link is followed."""

from __future__ import annotations

import posixpath


def clean(path: str) -> str:
    """Returns a path as filepath.Clean does. Python keeps two slashes at the beginning, which mean nothing on Linux, and make
    another folder of `//etc/kubernetes/pki` than of the one that it is."""
    made = posixpath.normpath(path)
    return f"/{made.lstrip('/')}" if made.startswith("//") else made


def prefix(folder: str) -> str:
    """Returns what stands before `/name` in the clean path of a file in a folder."""
    made = clean(folder)
    return "" if made == "/" else made


def without_backsteps(path: str) -> str:
    """Returns a path without `..`, and any other as it is. The kubelet refuses a pod whose volume has `..` in its path, and
    our own tree does not write there; what else is not clean works, and is kept as kubeadm keeps it."""
    return clean(path) if ".." in path.split("/") else path
