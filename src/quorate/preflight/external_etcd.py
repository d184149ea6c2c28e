"""Check ExternalEtcdVersion: an etcd that others run must be new enough for the API server."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

from quorate.config.types import ExternalEtcd
from quorate.core.preflight import Finding

_SECONDS = 10.0
_OLDEST = {29: (3, 4, 13), 30: (3, 4, 13), 31: (3, 5, 11)}
_OLDEST_SINCE_32 = (3, 5, 24)
"""Of kubeadm 1.32 to 1.37; older minors have their own."""


def check(external: ExternalEtcd, minor: int) -> Iterator[Finding]:
    """Ask each endpoint for its version, TLS verified."""
    oldest = _OLDEST.get(minor, _OLDEST_SINCE_32 if minor > 31 else (3, 2, 18))
    for endpoint in external.http_endpoints or external.endpoints:
        try:
            version = _ask(f"{endpoint.rstrip('/')}/version", external)
        except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            yield Finding("ExternalEtcdVersion", "error", f"{endpoint} does not tell its version: {reason}")
            continue
        if version < oldest:
            wanted, found = (".".join(map(str, one)) for one in (oldest, version))
            yield Finding("ExternalEtcdVersion", "error", f"etcd at {endpoint} is {found}: Kubernetes 1.{minor} needs {wanted}")


def _ask(url: str, external: ExternalEtcd) -> tuple[int, ...]:
    context = ssl.create_default_context(cafile=external.ca_file or None)
    if external.cert_file:
        context.load_cert_chain(external.cert_file, external.key_file)
    # The scheme was checked with the configuration: http or https.
    with urllib.request.urlopen(url, timeout=_SECONDS, context=context) as answer:  # noqa: S310
        told = json.loads(answer.read(1 << 16))
    return tuple(int(part) for part in str(told["etcdserver"]).partition("-")[0].split("."))
