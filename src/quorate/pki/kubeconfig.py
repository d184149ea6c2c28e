"""kubeconfig files as kubeadm writes them, and reading them back."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import yaml

from quorate.errors import ConfigError
from quorate.pki.certificates import Pair, PrivateKey, key_pem
from quorate.secret import Secret

MODE = 0o600
_NO_PREFERENCES_SINCE = 34
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a kubeconfig logs in as: by a client certificate, or by a token."""

    user: str
    pair: Pair | None = None
    token: Secret[str] | None = None

    def fields(self) -> dict[str, str]:
        """The user's entry; secrets in the clear."""
        if self.pair is not None:
            return {
                "client-certificate-data": encode(self.pair.certificate_pem()),
                "client-key-data": encode(self.pair.key_pem().reveal()),
            }
        return {"token": self.token.reveal()} if self.token is not None else {}


def encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def render(identity: Identity, *, server: str, ca_pem: bytes, cluster: str, minor: int) -> bytes:
    """The file's content: one cluster, one user, one context, everything embedded."""
    where = {"certificate-authority-data": encode(ca_pem), "server": server}
    return _render(identity.user, identity.fields(), where, cluster, minor)


def render_key_only(user: str, key: PrivateKey, server: str, cluster: str, minor: int) -> bytes:
    """A file that waits for its certificate."""
    return _render(user, {"client-key-data": encode(key_pem(key).reveal())}, {"server": server}, cluster, minor)


def _render(user: str, fields: dict[str, str], where: dict[str, str], cluster: str, minor: int) -> bytes:
    context = f"{user}@{cluster}"
    data: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": where}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "users": [{"name": user, "user": fields}],
    }
    if minor < _NO_PREFERENCES_SINCE:
        data["preferences"] = {}
    return dump(data)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the current context of a file says."""

    cluster: str
    server: str
    user: str
    ca_pem: bytes
    certificate_pem: bytes
    key_pem: Secret[bytes]
    token: Secret[str]
    data: dict[str, Any]


def parse(content: bytes, where: str) -> Parsed:
    """Raises `ConfigError` when it is no kubeconfig with a usable current context; never repeats the content. Where there is
    none, the cluster without a name counts: that is how cluster-info is written."""
    data = _load(content, where)
    context = _named(data, "contexts", data.get("current-context")).get("context", {})
    cluster = _named(data, "clusters", context.get("cluster", "")).get("cluster")
    user = _named(data, "users", context.get("user")).get("user", {})
    if cluster is None:
        raise ConfigError(f"{where}: its current context names no cluster that is in it")
    return Parsed(
        str(context.get("cluster", "")),
        str(cluster.get("server", "")),
        str(context.get("user", "")),
        _decode(cluster.get("certificate-authority-data"), where),
        _decode(user.get("client-certificate-data"), where),
        Secret(_decode(user.get("client-key-data"), where)),
        Secret(str(user.get("token") or "")),
        data,
    )


def with_identity(parsed: Parsed, identity: Identity) -> bytes:
    """The same file with the current user's credentials replaced."""
    users = [
        {**row, "user": identity.fields()} if row.get("name") == parsed.user else row for row in _rows(parsed.data, "users")
    ]
    return dump({**parsed.data, "users": users})


def dump(data: dict[str, Any]) -> bytes:
    return yaml.safe_dump(data, sort_keys=True, default_flow_style=False, width=10**6).encode()


def _load(content: bytes, where: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(content[:_MOST_BYTES])
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ConfigError(f"{where} is not YAML") from None
    if not isinstance(data, dict) or data.get("kind") != "Config":
        raise ConfigError(f"{where} is not a kubeconfig file")
    return data


def _rows(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = data.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _named(data: dict[str, Any], key: str, name: object) -> dict[str, dict[str, Any]]:
    """The row of that name, of its fields those that are mappings; empty when there is none."""
    row: dict[str, Any] = next((row for row in _rows(data, key) if row.get("name") == name), {})
    return {field: value for field, value in row.items() if isinstance(value, dict)}


def _decode(text: object, where: str) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{where}: embedded data is not base64") from None
