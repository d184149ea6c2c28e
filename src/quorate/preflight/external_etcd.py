"""Check ExternalEtcdVersion: an external etcd must be new enough for the API server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Literal, TypeAlias

from quorate.config.types import ExternalEtcd
from quorate.core.finding import Finding
from quorate.core.versions import Version
from quorate.foreign.documents import BadDocument, Limits, read_object
from quorate.foreign.http import HttpFailed, get
from quorate.foreign.urls import without_login
from quorate.foreign.values import text_of

_SECONDS = 10.0
_LIMITS = Limits(size=1 << 16, depth=4, values=100, aliases=0)
_OLDEST = {29: (3, 4, 13), 30: (3, 4, 13), 31: (3, 5, 11)}
_OLDEST_SINCE_32 = (3, 5, 24)
"""The minimum of kubeadm 1.32 to 1.37; older minor versions have their own."""


Told: TypeAlias = tuple[int, ...] | str
"""A version, or the reason why it is unknown."""


def check(external: ExternalEtcd, minor: int) -> Iterator[Finding]:
    """Yields findings about the version of each endpoint; TLS is verified."""
    asked = ask_all(external)
    yield from silent(asked, "error")
    yield from too_old(asked, minor)


def check_for_join(external: ExternalEtcd, minor: int) -> Iterator[Finding]:
    """Yields the findings of `check`; while one endpoint answers, the silent ones only warn: the API servers that run already
    work without them."""
    asked = ask_all(external)
    answered = any(not isinstance(told, str) for told in asked.values())
    yield from silent(asked, "warning" if answered else "error")
    yield from too_old(asked, minor)


def ask_all(external: ExternalEtcd) -> dict[str, Told]:
    return {endpoint: _version_or_reason(endpoint, external) for endpoint in external.http_endpoints or external.endpoints}


def _version_or_reason(endpoint: str, external: ExternalEtcd) -> Told:
    try:
        return _ask(f"{endpoint.rstrip('/')}/version", external)
    except (HttpFailed, BadDocument) as error:
        return f"{error.what}: {error.certificate}" if isinstance(error, HttpFailed) and error.certificate else error.what
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", "") or error)


def silent(asked: dict[str, Told], level: Literal["warning", "error"]) -> Iterator[Finding]:
    for endpoint, told in asked.items():
        if isinstance(told, str):
            yield Finding("ExternalEtcdVersion", level, f"{without_login(endpoint)} does not report its version: {told}")


def too_old(asked: dict[str, Told], minor: int) -> Iterator[Finding]:
    oldest = _OLDEST.get(minor, _OLDEST_SINCE_32 if minor > 31 else (3, 2, 18))
    for endpoint, told in asked.items():
        if not isinstance(told, str) and told < oldest:
            wanted, found = (".".join(map(str, one)) for one in (oldest, told))
            yield Finding(
                "ExternalEtcdVersion",
                "error",
                f"etcd at {without_login(endpoint)} is {found}: Kubernetes 1.{minor} needs {wanted}",
            )


def _ask(url: str, external: ExternalEtcd) -> tuple[int, ...]:
    context = ssl.create_default_context(cafile=external.ca_file or None)
    if external.cert_file:
        context.load_cert_chain(external.cert_file, external.key_file)
    answer = get(url, context, seconds=_SECONDS, most_bytes=_LIMITS.size)
    told = text_of(read_object(answer.body, "the answer", _LIMITS).get("etcdserver"))
    found = Version.parse(told)
    return found.major, found.minor, found.patch
