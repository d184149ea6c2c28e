"""The entry point of the library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from quorate.arguments import checking
from quorate.deadline import Cancel, SystemClock
from quorate.errors import ConfigError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Login, TlsFiles, load_tls, parse_endpoints
from quorate.etcd.observation.explaining import explaining
from quorate.report import Report, silent
from quorate.secret import Secret

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster


@checking
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
) -> AbstractContextManager[Cluster]:
    """Returns an etcd cluster for a `with` block. `endpoints` are HOST:PORT or URLs; `ca`, `cert` and `key` are paths of PEM
    files; `timeout` is seconds for one answer.

    Raises `ConfigError` for files that do not match or endpoints that are invalid; nothing is contacted yet.
    """
    if not timeout > 0:
        raise ConfigError(f"timeout must be seconds above 0, not {timeout}")
    files = TlsFiles(*(Path(path) if path is not None else None for path in (ca, cert, key)))
    tls = load_tls(files) if any((files.ca, files.cert, files.key)) else None
    login = Login(user, Secret(password or "")) if user is not None else None
    targets = parse_endpoints(list(endpoints))

    @contextmanager
    def opened() -> Iterator[Cluster]:
        from quorate.etcd.cluster import Cluster

        clock = SystemClock(cancel)
        with Access(tls, login, clock.cancel) as access, explaining(access, targets):
            yield Cluster(access, targets, clock, report, timeout=timeout)

    return _Connection(opened)


class _Connection(AbstractContextManager["Cluster"]):
    """Each `with` opens the cluster anew."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Cluster]]) -> None:
        self._opened = opened
        self._open: list[AbstractContextManager[Cluster]] = []

    def __enter__(self) -> Cluster:
        block = self._opened()
        cluster = block.__enter__()
        self._open.append(block)
        return cluster

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._open.pop().__exit__(kind, error, trace)

    if not TYPE_CHECKING:
        # A type checker shall go on saying that a connection has no such method.
        def __getattr__(self, name: str) -> object:
            """Says how to get at the cluster, whose methods and fields a connection does not have."""
            from quorate.etcd.cluster import Cluster

            if name.startswith("_") or not hasattr(Cluster, name):
                raise AttributeError(f"a connection has no {name!r}", name=name, obj=self)
            raise ConfigError(
                f"{name} is a part of the cluster, which is open in a 'with' block only",
                advice=f"with connect(...) as cluster: cluster.{name}",
            )
