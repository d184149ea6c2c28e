"""Kubernetes versions as a configuration names them, and the image tags that depend on them.

Tags per kubeadm release, checked against `kubeadm config images list` of the versions that are built (see the golden data).
"""

from __future__ import annotations

import re

from msgspec import Struct

from quorate.errors import ConfigError

_MOST_LETTERS = 128
_NUMBER = "(?:0|[1-9][0-9]*)"
_WORD = f"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD = "[0-9A-Za-z-]+"
_SEMANTIC = re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-{_WORD}(?:\.{_WORD})*)?(?:\+{_BUILD}(?:\.{_BUILD})*)?")
"""As kubeadm reads versions: semantic ones, in which no number begins with 0."""
_MINOR = re.compile(r"(?<![0-9.])1\.([0-9]{1,4})(?![0-9])")
_LABEL = re.compile(r"(?:ci/)?(?:stable|latest)(?:-[0-9]+(?:\.[0-9]+)?)?")
OLDEST, OLDEST_TESTED, NEWEST = 27, 29, 37
DEFAULT = "v1.34.4"
"""Used when no version is given and no kubelet is installed."""


class KubernetesVersion(Struct, frozen=True):
    """A version. `text`: as images are tagged, such as v1.34.4, with the suffix after the patch."""

    text: str
    minor: int
    patch: int

    @property
    def tag(self) -> str:
        """Returns the image tag, which cannot hold a +."""
        return self.text.replace("+", "_")


def parse_version(text: str) -> KubernetesVersion:
    """Returns the version of a text. Raises `ConfigError` for any other text, and for a major version other than 1."""
    match = _SEMANTIC.fullmatch(text) if len(text) <= _MOST_LETTERS else None
    if match is None:
        example = f"use one like {closest(text)}"
        hint = "labels such as stable-1 need the network: name the version itself" if is_label(text) else example
        raise ConfigError(f"{text[:_MOST_LETTERS]!r} is not a Kubernetes version", advice=hint)
    if match[1] != "1":
        raise ConfigError(f"{text!r}: only Kubernetes 1.x is supported")
    return KubernetesVersion(version_text(text), int(match[2]), int(match[3]))


def version_text(text: str) -> str:
    """Returns a version as kubeadm writes it, with a v in front; any other text as it is."""
    return f"v{text}" if len(text) <= _MOST_LETTERS and _SEMANTIC.fullmatch(text) and not text.startswith("v") else text


def is_label(text: str) -> bool:
    """Returns whether a text is a release label, which only a server can resolve."""
    return _LABEL.fullmatch(text) is not None


def is_supported(text: str) -> bool:
    """Returns whether a text is a version whose files quorate can write."""
    try:
        return OLDEST <= parse_version(text).minor <= NEWEST
    except ConfigError:
        return False


def closest(text: str) -> str:
    """Returns the supported release that is closest to what a text says: for examples, and for what is checked although the
    version is wrong."""
    match = _MINOR.search(text[:_MOST_LETTERS])
    return RELEASES[min(max(int(match[1]), OLDEST), NEWEST) - OLDEST] if match else DEFAULT


class Tags(Struct, frozen=True):
    """The image tags of one kubeadm minor version, next to the control plane's own."""

    coredns: str
    pause: str
    etcd: str


TAGS = {
    27: Tags("v1.10.1", "3.9", "3.5.12-0"),
    28: Tags("v1.10.1", "3.9", "3.5.15-0"),
    29: Tags("v1.11.1", "3.9", "3.5.12-0"),
    30: Tags("v1.11.3", "3.9", "3.5.15-0"),
    31: Tags("v1.11.1", "3.10", "3.5.15-0"),
    32: Tags("v1.11.3", "3.10", "3.5.24-0"),
    33: Tags("v1.12.0", "3.10", "3.5.24-0"),
    34: Tags("v1.12.1", "3.10.1", "3.6.5-0"),
    35: Tags("v1.13.1", "3.10.1", "3.6.6-0"),
    36: Tags("v1.14.2", "3.10.2", "3.6.8-0"),
    37: Tags("v1.14.6", "3.10.2", "3.7.0-0"),
}

RELEASES = (
    *("v1.27.16", "v1.28.15", "v1.29.6", "v1.30.14", "v1.31.0", "v1.32.10"),
    *("v1.33.6", "v1.34.4", "v1.35.4", "v1.36.3", "v1.37.2"),
)
"""The kubeadm of each minor that the tags are from."""


def tags_for(minor: int) -> Tags:
    """Returns the tags of this minor version's kubeadm; those of the nearest version when it is outside the table."""
    return TAGS[min(max(minor, OLDEST), NEWEST)]
