"""The values that a kind has where a file says nothing, as far as they are the same on every host."""

from __future__ import annotations

from typing import Any

from quorate.config import types as v4
from quorate.config.components import KUBELET, kubelet_configuration, proxy_configuration
from quorate.config.defaults import Facts, default_cluster, default_init, default_join, default_reset, default_upgrade
from quorate.config.schema import encode

_HOSTS = (
    Facts("one", "192.0.2.1", "unix:///run/one.sock", "v1.34.0", "aaaaaa.0123456789abcdef"),
    Facts("two", "192.0.2.2", "unix:///run/two.sock", "v1.33.0", "bbbbbb.0123456789abcdef"),
)
"""Two hosts that have nothing in common: what differs between them is no default of the kind."""


def default_values(kind: str, minor: int) -> Any:
    """Returns the defaults of a kind, as in a file; None in place of what depends on the host. `minor`: of the components."""
    first, second = (_on(kind, facts, minor) for facts in _HOSTS)
    return _common(first, second)


def _on(kind: str, facts: Facts, minor: int) -> Any:
    cluster = default_cluster(v4.ClusterConfiguration(), facts)
    match kind:
        case "InitConfiguration":
            return encode(default_init(v4.InitConfiguration(), facts))
        case "ClusterConfiguration":
            return encode(cluster)
        case "JoinConfiguration":
            return encode(default_join(v4.JoinConfiguration(control_plane=v4.JoinControlPlane()), facts))
        case "ResetConfiguration":
            return encode(default_reset(v4.ResetConfiguration(), facts))
        case "UpgradeConfiguration":
            return encode(default_upgrade(v4.UpgradeConfiguration()))
        case _:
            made = kubelet_configuration if kind == KUBELET else proxy_configuration
            return _without_empty(made(cluster, None, minor))


def _common(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _common(one[key], other.get(key)) for key in one}
    return one if one == other and one not in ("", [], {}) else None


def _without_empty(value: Any) -> Any:
    """Returns what a component is told, without the zeroes that Go writes in place of nothing."""
    if isinstance(value, dict):
        return {key: inner for key, one in value.items() if (inner := _without_empty(one)) not in ({}, None)}
    return None if value in ("", 0, "0s") and not isinstance(value, bool) else value
