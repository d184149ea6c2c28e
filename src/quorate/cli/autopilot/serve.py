"""What `quorate autopilot run --listen` serves: /metrics, and whether it lives and sees the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from quorate.cli.common.completion import files
from quorate.cli.common.option_groups import packed
from quorate.errors import ConfigError, UsageProblem
from quorate.foreign.urls import parts_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from quorate.deadline import Clock
    from quorate.etcd.autopilot.loop import Round
    from quorate.report import Report
    from quorate.serving.http import Answer, Listen, Routes

_LATE_SECONDS = 30.0
"""A round takes a second, and an action up to about ten."""


class Shows(Protocol):
    """What is told each round."""

    def show(self, decided: Round) -> None: ...


@dataclass(frozen=True, slots=True)
class Served:
    """Where to listen, and by which files: all empty where nothing is served."""

    listen: str = ""
    listen_cert: Path | None = None
    listen_key: Path | None = None
    listen_client_ca: Path | None = None

    def serving(self, clock: Clock, report: Report) -> AbstractContextManager[Shows | None]:
        """Returns the context in which it is served; yields what has to be told each round. Raises `UsageProblem` and
        `ConfigError` at once, and `HostError` when the block is entered."""
        if not self.listen:
            if self.listen_cert or self.listen_key or self.listen_client_ca:
                raise UsageProblem("nothing is served without --listen", advice="add --listen HOST:PORT")
            return nullcontext()
        return _serving(self._listen(), clock, report)

    def flags(self) -> list[str]:
        """Returns the flags again, with absolute paths. Raises `UsageProblem` for what a run would refuse."""
        if self.listen:
            self.place()
        paths = {"cert": self.listen_cert, "key": self.listen_key, "client-ca": self.listen_client_ca}
        files = [f"--listen-{name}={path.absolute()}" for name, path in paths.items() if path is not None]
        return [*([f"--listen={self.listen}"] if self.listen else []), *files]

    def place(self) -> tuple[str, int]:
        """Returns host and port. Raises `UsageProblem` and `ConfigError` for what a run would refuse, whatever is in the files:
        they may be those of another host."""
        parts = parts_of(f"//{self.listen}")
        host, port = parts.host, parts.port
        if not host or port is None:
            raise UsageProblem(f"--listen {self.listen} is not of the form HOST:PORT", advice="--listen 127.0.0.1:9382")
        files = (self.listen_cert, self.listen_key, self.listen_client_ca)
        if not any(files):
            if not is_loopback(host):
                raise ConfigError(
                    f"{self.listen} can be reached from outside, and would be served without TLS",
                    state="nothing was started",
                    advice="listen on 127.0.0.1, or pass --listen-cert, --listen-key and --listen-client-ca",
                )
        elif not all(files):
            raise UsageProblem("TLS needs all of --listen-cert, --listen-key and --listen-client-ca", advice="pass all three")
        return host, port

    def _listen(self) -> Listen:
        from quorate.serving.http import Listen
        from quorate.serving.tls import Identity

        host, port = self.place()
        if self.listen_cert is None or self.listen_key is None or self.listen_client_ca is None:
            return Listen(host, port)
        identity = Identity(self.listen_cert, self.listen_key, self.listen_client_ca)
        identity.context()
        return Listen(host, port, identity)


def is_loopback(host: str) -> bool:
    """Returns whether an address is one that only this host reaches."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _serving(place: Listen, clock: Clock, report: Report) -> Iterator[Shows]:
    from quorate.report import Notice
    from quorate.serving.http import serving

    pages = _Pages(clock)
    with serving(place, pages.routes()) as port:
        scheme = "http" if place.identity is None else "https"
        host = f"[{place.host}]" if ":" in place.host else place.host
        report(Notice(f"serving {scheme}://{host}:{port}/metrics, /livez and /readyz"))
        yield pages


class _Pages:
    """The pages of the last round."""

    def __init__(self, clock: Clock) -> None:
        from quorate import __version__
        from quorate.etcd.autopilot.metrics import Exporter

        self._clock = clock
        self._exporter = Exporter(__version__)
        self._told: tuple[float, str] = (clock.now(), "no look has ended yet")

    def show(self, decided: Round) -> None:
        view = decided.view
        sees = view is not None and view.linearizable
        self._told = (self._clock.now(), "" if sees else f"{decided.next.rule}: {decided.next.why}")
        self._exporter.show(decided, self._clock.wall())

    def routes(self) -> Routes:
        return {"/metrics": self._metrics, "/livez": self._livez, "/readyz": self._readyz}

    def _metrics(self) -> Answer:
        from quorate.etcd.autopilot.metrics import CONTENT_TYPE
        from quorate.serving.http import Answer

        return Answer(200, self._exporter.page(), CONTENT_TYPE)

    def _livez(self) -> Answer:
        """Alive is who ends rounds, also without etcd: a restart would not help that."""
        return _health(self._late())

    def _readyz(self) -> Answer:
        return _health(self._late() or self._told[1])

    def _late(self) -> str:
        ago = self._clock.now() - self._told[0]
        return f"no look has ended for {ago:.0f} s" if ago > _LATE_SECONDS else ""


def _health(against: str) -> Answer:
    from quorate.serving.http import Answer

    return Answer(503, f"{against}\n".encode()) if against else Answer(200, b"ok\n")


_FILE = click.Path(path_type=Path)
serve_options = packed(
    Served,
    "served",
    (
        click.option("--listen", default="", metavar="HOST:PORT", help="Serve /metrics, /livez and /readyz there."),
        click.option("--listen-cert", type=_FILE, help="Certificate to serve with.", shell_complete=files),
        click.option("--listen-key", type=_FILE, help="Its key.", shell_complete=files),
        click.option(
            "--listen-client-ca",
            type=_FILE,
            help="CA of the clients' certificates: others are not served.",
            shell_complete=files,
        ),
    ),
)
"""Adds the options, and passes them to the command as `served`."""
