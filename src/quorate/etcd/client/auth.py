"""etcd's users and roles. A password is a `Secret` that is revealed only in the request."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.secret import Secret

ROOT = "root"
"""The role that etcd asks for in every change of members, and that may do everything else."""


@dataclass(frozen=True, slots=True)
class Range:
    """The keys from `key` up to `end`, which is not among them; with an empty `end` only `key`, and with a zero byte all after
    it, as in etcd."""

    key: bytes
    end: bytes


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may read and write. `is_root`: everything, and change members."""

    is_root: bool
    reads: tuple[Range, ...] = ()
    writes: tuple[Range, ...] = ()


def rights_of(channel: Channel, user: str, *, timeout: float) -> Rights:
    """Returns the rights of the user who is logged in: every user may ask for the own roles."""
    roles = list(channel.call(rpc.USER_GET, wire.UserGetRequest(name=user), timeout).roles)
    if ROOT in roles:
        return Rights(is_root=True)
    rows = [row for role in roles for row in channel.call(rpc.ROLE_GET, wire.RoleGetRequest(role=role), timeout).perm]
    kinds = wire.Permission
    ranges = [(row.permType, Range(row.key, row.range_end)) for row in rows]
    return Rights(
        is_root=False,
        reads=tuple(one for kind, one in ranges if kind in (kinds.READ, kinds.READWRITE)),
        writes=tuple(one for kind, one in ranges if kind in (kinds.WRITE, kinds.READWRITE)),
    )


def covers(ranges: tuple[Range, ...], wanted: Range) -> bool:
    """Returns whether the ranges together hold all keys of `wanted`, whose end is not empty. etcd merges ranges likewise."""
    at = wanted.key
    for one in sorted(ranges, key=lambda row: row.key):
        end = one.end or one.key + b"\0"
        if one.key > at:
            return False
        if one.end == b"\0" or end >= wanted.end:
            return True
        at = max(at, end)
    return False


def is_enabled(channel: Channel, *, timeout: float) -> bool:
    """Returns whether the cluster requires a login. The RPC exists since 3.5; before 3.7 it needs a login itself."""
    return channel.call(rpc.AUTH_STATUS, wire.Empty(), timeout).enabled


def enable(channel: Channel, *, timeout: float) -> None:
    """Switches authentication on; etcd requires a user `root` with the role `root` first."""
    channel.call(rpc.AUTH_ENABLE, wire.Empty(), timeout)


def disable(channel: Channel, *, timeout: float) -> None:
    """Switches authentication off."""
    channel.call(rpc.AUTH_DISABLE, wire.Empty(), timeout)


def add_user(channel: Channel, name: str, password: Secret[str], *, timeout: float) -> None:
    channel.call(rpc.USER_ADD, wire.UserAddRequest(name=name, password=password.reveal()), timeout)


def add_role(channel: Channel, name: str, *, timeout: float) -> None:
    channel.call(rpc.ROLE_ADD, wire.RoleAddRequest(name=name), timeout)


def grant_role(channel: Channel, user: str, role: str, *, timeout: float) -> None:
    channel.call(rpc.USER_GRANT_ROLE, wire.UserGrantRoleRequest(user=user, role=role), timeout)


def allow_read(channel: Channel, role: str, key: bytes, range_end: bytes, *, timeout: float) -> None:
    """Allows `role` to read the keys from `key` up to `range_end`."""
    _allow(channel, role, wire.Permission(permType=wire.Permission.READ, key=key, range_end=range_end), timeout)


def allow_all(channel: Channel, role: str, key: bytes, range_end: bytes, *, timeout: float) -> None:
    """Allows `role` to read and write the keys from `key` up to `range_end`."""
    _allow(channel, role, wire.Permission(permType=wire.Permission.READWRITE, key=key, range_end=range_end), timeout)


def _allow(channel: Channel, role: str, permission: wire.Permission, timeout: float) -> None:
    channel.call(rpc.ROLE_GRANT_PERMISSION, wire.RoleGrantPermissionRequest(name=role, perm=permission), timeout)
