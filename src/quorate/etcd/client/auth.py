"""etcd's users and roles. A password is a `Secret` that is revealed only in the request."""

from __future__ import annotations

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.secret import Secret


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
    permission = wire.Permission(permType=wire.Permission.READ, key=key, range_end=range_end)
    channel.call(rpc.ROLE_GRANT_PERMISSION, wire.RoleGrantPermissionRequest(name=role, perm=permission), timeout)
