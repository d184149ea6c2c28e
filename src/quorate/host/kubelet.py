"""The kubelet as a service of this host, and its health check."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.host.systemd import Systemd

UNIT = "kubelet"
_SECONDS = 90.0
"""A kubelet that stops ends its probes and streams first; systemd kills it after 90 s."""
_HEALTH_SECONDS, _HEALTH_BYTES = 2.0, 1 << 16
_ADVICE = "find the cause with 'systemctl status kubelet' and 'journalctl -u kubelet'"


@dataclass(frozen=True, slots=True)
class Kubelet:
    """The kubelet's service. `systemctl`: its path; empty where no systemd runs, and another tool starts the kubelet."""

    systemctl: str = ""

    @classmethod
    def of(cls, root: Path) -> Kubelet:
        """Returns the kubelet of the node whose files are below `root`.

        For another root than ours we do not call our systemd: it runs another node's kubelet. A systemctl without a running
        systemd (in a container, see sd_booted(3)) counts as none.
        """
        if root != Path("/") or not Path("/run/systemd/system").is_dir():
            return cls()
        return cls(shutil.which("systemctl") or "")

    @property
    def managed(self) -> bool:
        """Returns whether we start and stop the kubelet."""
        return bool(self.systemctl)

    def start(self) -> None:
        """Starts or restarts the kubelet, so that it reads its files again. Raises `HostError`."""
        self._do("daemon-reload")
        self._do("restart", UNIT)

    def stop(self) -> None:
        """Stops the kubelet. Raises `HostError`."""
        self._do("stop", UNIT)

    def may_run(self) -> bool:
        """Returns False only where `systemctl is-active` fails; True where no systemd runs."""
        if not self.managed:
            return True
        try:
            return not Systemd((self.systemctl,)).is_down(UNIT)
        except HostError:
            # A systemctl that hangs says nothing of the kubelet, which may start again whatever is stopped now.
            return True

    def problem(self) -> str:
        """Returns what is wrong with the kubelet that we started; empty when it is healthy, and where another tool runs it: its
        port is not known."""
        from quorate.config.components import HEALTHZ_PORT  # late import: few runs wait for so long

        return health(HEALTHZ_PORT) if self.managed else ""

    def _do(self, *words: str) -> None:
        if self.managed:
            Systemd((self.systemctl,)).run(*words, seconds=_SECONDS, advice=_ADVICE)


def health(port: int) -> str:
    """Returns an empty string when the kubelet on this host reports that it is healthy, else what is wrong."""
    from quorate.foreign.http import HttpFailed, get  # late import: every phase has a kubelet, few call this

    try:
        answer = get(f"http://127.0.0.1:{port}/healthz", None, seconds=_HEALTH_SECONDS, most_bytes=_HEALTH_BYTES)
    except HttpFailed as error:
        return error.what
    return "" if answer.status == 200 else f"HTTP {answer.status}"
