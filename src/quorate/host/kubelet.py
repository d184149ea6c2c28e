"""The kubelet as a service of this host, and whether it says that it is well."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.host.systemd import Systemd

UNIT = "kubelet"
_SECONDS = 90.0
"""A kubelet that is stopped ends its probes and streams first; systemd kills it after 90 s."""
_HEALTH_SECONDS, _HEALTH_BYTES = 2.0, 1 << 16
_ADVICE = "'systemctl status kubelet' and 'journalctl -u kubelet' tell why"


@dataclass(frozen=True, slots=True)
class Kubelet:
    """`systemctl`: its path; empty where no systemd runs, and somebody else starts the kubelet."""

    systemctl: str = ""

    @classmethod
    def of(cls, root: Path) -> Kubelet:
        """The kubelet of the node whose files are below `root`. Below another root than ours no systemd of ours is asked: its
        kubelet is another node's. A systemctl without a systemd (a container) counts as none, as sd_booted(3) tells it."""
        if root != Path("/") or not Path("/run/systemd/system").is_dir():
            return cls()
        return cls(shutil.which("systemctl") or "")

    @property
    def managed(self) -> bool:
        return bool(self.systemctl)

    def start(self) -> None:
        """Start it, or start it again with what its files say now. Raises `HostError`."""
        self._do("daemon-reload")
        self._do("restart", UNIT)

    def stop(self) -> None:
        """Raises `HostError`."""
        self._do("stop", UNIT)

    def may_run(self) -> bool:
        """False only where its service says that it does not."""
        if not self.managed:
            return True
        try:
            return not Systemd((self.systemctl,)).is_down(UNIT)
        except HostError:
            # A systemctl that hangs says nothing of the kubelet, which may start again whatever is stopped now.
            return True

    def _do(self, *words: str) -> None:
        if self.managed:
            Systemd((self.systemctl,)).run(*words, seconds=_SECONDS, advice=_ADVICE)


def health(port: int) -> str:
    """Empty when the kubelet on this host answers that it is well, else what it says instead."""
    from quorate.foreign.http import HttpFailed, get  # late: every phase knows a kubelet, few ask it

    try:
        answer = get(f"http://127.0.0.1:{port}/healthz", None, seconds=_HEALTH_SECONDS, most_bytes=_HEALTH_BYTES)
    except HttpFailed as error:
        return error.what
    return "" if answer.status == 200 else f"HTTP {answer.status}"
