"""The tag of etcd's image, and the version that it names."""

from __future__ import annotations

import re

from quorate.config.types import ClusterConfiguration, LocalEtcd
from quorate.config.versions import parse_version, tags_for

_VERSION = re.compile(r"v?([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})(?:[-+]|\Z)")


def etcd_tag(config: ClusterConfiguration) -> str:
    local = config.etcd.local or LocalEtcd()
    return local.image_tag or tags_for(parse_version(config.kubernetes_version).minor).etcd


def etcd_version(config: ClusterConfiguration) -> tuple[int, int, int] | None:
    """Returns the version in the image's tag; None when the tag is no version."""
    match = _VERSION.match(etcd_tag(config))
    return (int(match[1]), int(match[2]), int(match[3])) if match else None
