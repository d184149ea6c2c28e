"""The entry point of the library."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.deadline import Cancel, SystemClock
from quorate.errors import ConfigError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Login, TlsFiles, load_tls, parse_endpoints
from quorate.etcd.observation.explaining import explaining
from quorate.report import Report, silent
from quorate.secret import Secret

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster


@contextmanager
def connect(
    endpoints: Sequence[str],
    *,
    ca: str | os.PathLike[str] | None = None,
    cert: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    user: str | None = None,
    password: str | None = None,
    report: Report = silent,
    cancel: Cancel | None = None,
    timeout: float = 5.0,
) -> Iterator[Cluster]:
    """Yields an etcd cluster for a `with` block. `endpoints` are HOST:PORT or URLs; `timeout` is seconds for one answer.

    Raises `ConfigError` for files that do not match or endpoints that are invalid; nothing is contacted yet.
    """
    from quorate.etcd.cluster import Cluster

    if isinstance(endpoints, str):
        # A str is a sequence of str, so a type checker accepts it: each letter would be an endpoint.
        raise ConfigError(f"endpoints is text, and must be a list: {[one.strip() for one in endpoints.split(',')]}")
    files = TlsFiles(*(Path(path) if path is not None else None for path in (ca, cert, key)))
    tls = load_tls(files) if any((files.ca, files.cert, files.key)) else None
    login = Login(user, Secret(password or "")) if user is not None else None
    targets = parse_endpoints(list(endpoints))
    clock = SystemClock(cancel)
    with Access(tls, login, clock.cancel) as access, explaining(access, targets):
        yield Cluster(access, targets, clock, report, timeout=timeout)
