"""Reads a kubeconfig as a whole, as kubectl does.

Certificates, keys and tokens may be in files that it names, from its own folder on; and it may ask for what is not done here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from quorate.errors import ConfigError
from quorate.foreign.values import text_of
from quorate.pki.kubeconfig import Parsed, named, token_of
from quorate.secret import Secret

ReadFile: TypeAlias = Callable[[str], bytes | None]
"""Returns the content of a file of the node; None when there is none."""

_NOT_DONE_BY_CLUSTER = {
    "insecure-skip-tls-verify": "does not verify the server: name its CA instead (certificate-authority)",
    "proxy-url": "names a proxy, and quorate connects to the API server itself",
    "tls-server-name": "names another host for the server's certificate than the one in its address",
}
_NOT_DONE_BY_USER = {
    "exec": "gets its credentials from a program, which quorate does not run",
    "auth-provider": "gets its credentials from a plugin, which quorate has not",
    "username": "logs in by user and password, which no Kubernetes since 1.19 takes",
    "as": "acts as another user",
    "as-uid": "acts as another user",
    "as-groups": "acts as another user",
    "as-user-extra": "acts as another user",
}


def embeds_its_certificate(parsed: Parsed) -> bool:
    """Returns whether the certificate is in the kubeconfig itself, or nowhere; not in a file that it names."""
    return bool(parsed.certificate_pem) or not text_of(_user(parsed).get("client-certificate"))


def missing_files(parsed: Parsed, where: str, is_there: Callable[[str], bool]) -> list[str]:
    """Returns the files that the kubeconfig names and that are missing. `where`: its path."""
    fields = (
        (_cluster(parsed), ("certificate-authority",)),
        (_user(parsed), ("client-certificate", "client-key", "tokenFile")),
    )
    named = [text_of(row.get(field)) for row, names in fields for field in names]
    return [path for one in named if one and not is_there(path := _from(where, one))]


def _from(where: str, path: str) -> str:
    """Returns a path that the kubeconfig at `where` names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(where), path))


def complete(parsed: Parsed, where: str, read: ReadFile) -> Parsed:
    """Returns the kubeconfig with what is in the files that it names. What is embedded counts before a file. `where`: its path.
    Raises `ConfigError` for a file that is missing: what it would have said is not known then."""
    cluster, user = _cluster(parsed), _user(parsed)

    def content(row: Mapping[str, object], field: str) -> bytes:
        path = text_of(row.get(field))
        if not path:
            return b""
        path = _from(where, path)
        found = read(path)
        if found is None:
            raise ConfigError(
                f"{where}: its {field} {path} does not exist",
                state="nothing was changed",
                advice="put the file there, or name another kubeconfig with --kubeconfig",
            )
        return found

    return replace(
        parsed,
        ca_pem=parsed.ca_pem or content(cluster, "certificate-authority"),
        certificate_pem=parsed.certificate_pem or content(user, "client-certificate"),
        key_pem=parsed.key_pem if parsed.key_pem.reveal() else Secret(content(user, "client-key")),
        token=parsed.token if parsed.token.reveal() else Secret(token_of(content(user, "tokenFile").decode("latin-1"), where)),
    )


def refuse_what_is_not_done(parsed: Parsed, where: str) -> None:
    """Raises `ConfigError` where the kubeconfig says how to connect in a way that is not done here: left out, it would connect
    otherwise than its author wants."""
    for row, fields in ((_cluster(parsed), _NOT_DONE_BY_CLUSTER), (_user(parsed), _NOT_DONE_BY_USER)):
        for field, why in fields.items():
            if row.get(field):
                raise ConfigError(
                    f"{where}: its {field} {why}",
                    state="nothing was changed",
                    advice="use a kubeconfig with a client certificate or a token, such as /etc/kubernetes/admin.conf",
                )


def _cluster(parsed: Parsed) -> Mapping[str, object]:
    return named(parsed.data, "clusters", parsed.cluster, "cluster")


def _user(parsed: Parsed) -> Mapping[str, object]:
    return named(parsed.data, "users", parsed.user, "user")
