"""Starts, stops and queries systemd units through systemctl, without waiting until they are ready."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.deadline import Cancel
from quorate.errors import HostError
from quorate.foreign.numbers import whole
from quorate.host import programs
from quorate.host.programs import Finished

UNIT_FOLDER = Path("/etc/systemd/system")
_NOT_RUNNING = (3, 4)
"""Exit codes of `systemctl is-active`: it is inactive or failed, it is unknown. 1 is a systemd that cannot be asked."""

_NOT_BOOTED = "has not been booted with systemd"
"""What systemctl says where something else is process 1, as in most containers. It is not translated."""

_SECONDS = 30.0
_STOP_SECONDS = 120.0
"""systemd itself kills a service after 90 s (DefaultTimeoutStopSec); a shorter limit would leave the unit half stopped."""
_ASKED = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "ExecMainStartTimestampMonotonic")


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's state in systemd. `began`: its process was started since systemd last unloaded the unit."""

    loaded: bool
    active: str
    sub: str
    result: str
    exit_status: int
    restarts: int
    began: bool


@dataclass(frozen=True, slots=True)
class Systemd:
    """Calls systemctl. `command`: a prefix reaches a systemd in other namespaces. `cancel` ends the wait."""

    command: tuple[str, ...] = ("systemctl",)
    cancel: Cancel | None = None

    def show(self, unit: str) -> UnitState:
        """Returns the state of a unit. Raises `HostError` when systemd does not answer."""
        lines = self.run("show", unit, *(f"--property={name}" for name in _ASKED)).splitlines()
        fields = dict(line.partition("=")[::2] for line in lines)
        return UnitState(
            fields.get("LoadState") not in (None, "not-found"),
            fields.get("ActiveState", ""),
            fields.get("SubState", ""),
            fields.get("Result", ""),
            _number(fields.get("ExecMainStatus", "")),
            _number(fields.get("NRestarts", "")),
            fields.get("ExecMainStartTimestampMonotonic", "0") not in ("0", ""),
        )

    def is_down(self, unit: str) -> bool:
        """Returns whether systemd says that the unit does not run, or does not exist. Raises `HostError` when it does not
        answer."""
        return self._call(("is-active", unit), _SECONDS).code in _NOT_RUNNING

    def reload(self) -> None:
        """Makes systemd read the unit files again."""
        self.run("daemon-reload")

    def start(self, unit: str) -> None:
        """Starts a unit, now and after every boot. Returns before it is ready: a joining etcd is ready only when it serves."""
        self.run("enable", "--quiet", unit)
        self.run("start", "--no-block", unit)

    def restart(self, unit: str) -> None:
        """Restarts a unit. Returns before it is ready."""
        self.run("restart", "--no-block", unit)

    def stop(self, unit: str) -> None:
        """Stops a unit, and keeps it from starting after a boot. Returns when it has ended."""
        self.run("disable", "--quiet", unit)
        self.run("stop", unit, seconds=_STOP_SECONDS)
        self._try("reset-failed", unit)

    def end(self, unit: str) -> None:
        """Stops a unit; whether it starts after a boot stays as it is. Returns when it has ended."""
        self.run("stop", unit, seconds=_STOP_SECONDS)
        self._try("reset-failed", unit)

    def begin(self, unit: str) -> None:
        """Starts a unit, also one that has failed too often; whether it starts after a boot stays as it is."""
        self._try("reset-failed", unit)
        self.run("start", "--no-block", unit)

    def log(self, unit: str, lines: int = 50) -> list[str]:
        """Returns the last lines that the unit logged; none where there is no journal."""
        journalctl = [*self.command[:-1], "journalctl", f"--unit={unit}", f"--lines={lines}", "--output=cat", "--no-pager"]
        try:
            done = programs.run(journalctl, seconds=_SECONDS)
        except HostError:
            return []
        return done.out.splitlines() if done.code == 0 else []

    def run(self, *arguments: str, seconds: float = _SECONDS, advice: str = "") -> str:
        """Calls systemctl; returns its output. Raises `HostError` when it fails or does not answer in time."""
        done = self._call(arguments, seconds)
        if done.code != 0:
            raise HostError(
                f"'systemctl {' '.join(arguments)}' failed: {done.err.strip() or f'exit code {done.code}'}",
                advice=advice,
            )
        return done.out

    def _try(self, *arguments: str) -> None:
        """Calls systemctl and ignores its failure: there may be nothing to do."""
        self._call(arguments, _SECONDS)

    def _call(self, arguments: Sequence[str], seconds: float) -> Finished:
        if shutil.which(self.command[0]) is None:
            raise HostError("this machine has no systemctl", advice="choose another --runtime")
        try:
            done = programs.run([*self.command, "--no-ask-password", *arguments], seconds=seconds, cancel=self.cancel)
        except HostError as error:
            raise HostError(f"'systemctl {' '.join(arguments)}': {error.what}") from None
        if _NOT_BOOTED in done.err:
            raise HostError("systemd does not run on this machine", advice="choose another --runtime")
        return done


def _number(text: str) -> int:
    return whole(text, 999_999_999) or 0
