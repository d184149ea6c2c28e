"""kubeconfig files as kubeadm writes them, and reading them back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from quorate.config.render import to_yaml
from quorate.errors import ConfigError
from quorate.foreign.documents import BadDocument, Value, read_mapping
from quorate.foreign.text import visible
from quorate.foreign.values import mapping_of, rows_of, text_of
from quorate.pki.certificates import Pair, PrivateKey, key_pem
from quorate.secret import Secret

MODE = 0o600
_NO_PREFERENCES_SINCE = 34
_LISTS = ("clusters", "contexts", "users")
_BREAKS = str.maketrans("", "", "\r\n")


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a kubeconfig, with a client certificate or a token. `chain`: certificates behind it, in PEM."""

    user: str
    pair: Pair | None = None
    token: Secret[str] | None = None
    chain: bytes = b""

    def fields(self) -> dict[str, str]:
        """Returns the user's entry; secrets in the clear."""
        if self.pair is not None:
            return {
                "client-certificate-data": encode(self.pair.certificate_pem() + self.chain),
                "client-key-data": encode(self.pair.key_pem().reveal()),
            }
        return {"token": self.token.reveal()} if self.token is not None else {}


def encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def render(identity: Identity, *, server: str, ca_pem: bytes, cluster: str, minor: int) -> bytes:
    """Returns the file's content: one cluster, one user, one context, everything embedded."""
    where = {"certificate-authority-data": encode(ca_pem), "server": server}
    return _render(identity.user, identity.fields(), where, cluster, minor)


def render_key_only(user: str, key: PrivateKey, server: str, cluster: str, minor: int) -> bytes:
    """Returns the content of a file whose certificate is still to be signed."""
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
    """The current context of a file, with its cluster and user."""

    cluster: str
    server: str
    user: str
    ca_pem: bytes
    certificate_pem: bytes
    key_pem: Secret[bytes]
    token: Secret[str]
    data: Mapping[str, Any]


def parse(content: bytes, where: str) -> Parsed:
    """Parses a kubeconfig. Raises `ConfigError` when it is none, or has no usable current context; never repeats the content.
    Without a current context the cluster without a name counts: cluster-info is written that way."""
    data = _load(content, where)
    context = named(data, "contexts", data.get("current-context"), "context")
    cluster = named(data, "clusters", context.get("cluster", ""), "cluster")
    user = named(data, "users", context.get("user"), "user")
    if not cluster:
        contexts = [visible(text_of(row.get("name"))) for row in rows_of(data.get("contexts"))]
        raise ConfigError(
            f"{where}: its current context names no cluster of the file",
            advice=f"set current-context to one of {', '.join(contexts)}" if contexts else "",
        )
    return Parsed(
        text_of(context.get("cluster")),
        text_of(cluster.get("server")),
        text_of(context.get("user")),
        _decode(cluster.get("certificate-authority-data"), where),
        _decode(user.get("client-certificate-data"), where),
        Secret(_decode(user.get("client-key-data"), where)),
        Secret(token_of(user.get("token"), where)),
        data,
    )


def token_of(value: object, where: str) -> str:
    """Returns a user's token without the line break that YAML's | appends. Raises `ConfigError`, which does not repeat it."""
    token = text_of(value).strip()
    if not token.isascii() or not token.isprintable():
        raise ConfigError(f"{where}: the user's token has characters that are not allowed in a token")
    return token


def with_identity(parsed: Parsed, identity: Identity) -> bytes:
    """Returns the same file with the current user's certificate and key, or token, replaced. Everything else of the user stays,
    as in kubeadm: a renewal once dropped `as`, and the file was of another user from then on."""
    fields = identity.fields()
    # kubectl takes no file that has both, what is embedded and the name of a file for it.
    dropped = {field.removesuffix("-data") for field in fields if field.endswith("-data")}

    def renewed(row: Mapping[str, object]) -> Mapping[str, object]:
        kept = {key: value for key, value in mapping_of(row.get("user")).items() if key not in dropped}
        return {**row, "user": {**kept, **fields}} if row.get("name") == parsed.user else row

    return dump({**parsed.data, "users": list(map(renewed, rows_of(parsed.data.get("users"))))})


def with_authority(parsed: Parsed, ca_pem: bytes) -> Parsed:
    """Returns the same file whose current cluster trusts this CA. One that takes its CAs from a file keeps it: what is in that
    file counts, and is replaced there. Embedded data counts before a file. One that checks no server's certificate stays so:
    every client refuses a file that says both."""
    clusters = [
        {**row, "cluster": {**mapping_of(row.get("cluster")), "certificate-authority-data": encode(ca_pem)}}
        if row.get("name") == parsed.cluster and not _trusts_otherwise(mapping_of(row.get("cluster")))
        else row
        for row in rows_of(parsed.data.get("clusters"))
    ]
    return replace(parsed, data={**parsed.data, "clusters": clusters})


def _trusts_otherwise(cluster: Mapping[str, object]) -> bool:
    if cluster.get("insecure-skip-tls-verify") is True:
        return True
    return bool(text_of(cluster.get("certificate-authority"))) and not text_of(cluster.get("certificate-authority-data"))


def dump(data: Mapping[str, Any]) -> bytes:
    return to_yaml(data).encode()


def _load(content: bytes, where: str) -> dict[str, Value]:
    try:
        data = read_mapping(content, where)
    except BadDocument as error:
        # The parser's text may repeat a secret: only the place is reported.
        raise ConfigError(f"{where} is not a kubeconfig file", advice=error.own_advice) from None
    if not _is_kubeconfig(data):
        raise ConfigError(f"{where} is not a kubeconfig file")
    for key in _LISTS:
        names = [visible(text_of(row.get("name"))) for row in rows_of(data.get(key))]
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise ConfigError(f"{where}: {key} has the name {twice[0]} twice", advice="delete or rename one of them")
    return data


def _is_kubeconfig(data: Mapping[str, object]) -> bool:
    """Returns whether kubectl reads it as one: kind and version may be left out. What has neither them nor a list of it is
    another document."""
    told = (data.get("kind") or "Config", data.get("apiVersion") or "v1")
    return told == ("Config", "v1") and (bool(data.get("kind")) or any(key in data for key in _LISTS))


def named(data: Mapping[str, object], key: str, name: object, inner: str) -> Mapping[str, object]:
    """Returns the content of the row with that name; empty when there is none."""
    return next((mapping_of(row.get(inner)) for row in rows_of(data.get(key)) if row.get("name", "") == name), {})


def _decode(text: object, where: str) -> bytes:
    try:
        # Lines may be wrapped, as `base64` wraps them: Go reads over the breaks.
        return base64.b64decode(text_of(text).translate(_BREAKS).encode(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{where}: embedded data is not base64") from None
