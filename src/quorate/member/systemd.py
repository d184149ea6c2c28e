"""A member as a systemd unit: a unit file, a file of ETCD_* variables, and the data; and the undo of all three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quorate.core.decide_join import ProcessState
from quorate.core.finding import Finding
from quorate.errors import HostError
from quorate.etcd.membership.runtime import Process
from quorate.files import remove_file, write_atomic
from quorate.foreign.text import visible
from quorate.host.last_words import etcd_reason
from quorate.host.member_data import of_member, refuse_another
from quorate.host.systemd import UNIT_FOLDER, Systemd, UnitState
from quorate.host.units import unit_text, unit_word
from quorate.member.data_dir import VARIABLES, DataDir
from quorate.member.on_this_host import OnThisHost
from quorate.member.spec import EtcdSpec, environment_lines, settings

_MOST_RESTARTS = 2


@dataclass(slots=True)
class SystemdUnit(OnThisHost):
    """The unit `unit` (without .service) that runs `spec`. A unit file that is not ours is never touched."""

    spec: EtcdSpec
    unit: str
    run_as: str | None = None
    systemd: Systemd = field(default_factory=Systemd)
    unit_folder: Path = UNIT_FOLDER
    can_restart: bool = True
    can_wipe: bool = True
    _stopped: bool = False

    @property
    def data_dir(self) -> Path:
        return self.spec.data_dir

    @property
    def peer_url(self) -> str:
        return self.spec.peer_url

    @property
    def service(self) -> str:
        return f"{self.unit}.service"

    @property
    def unit_file(self) -> Path:
        return self.unit_folder / self.service

    @property
    def variables_file(self) -> Path:
        return self.spec.beside / VARIABLES

    @property
    def place(self) -> DataDir:
        return DataDir(self.spec, self.run_as)

    @property
    def mark(self) -> str:
        """Returns the first line of our unit file, by which a later run recognizes the file."""
        return visible(f"# Written by quorate for the etcd member {self.spec.name} in {self.spec.data_dir}.", most=4096)

    def process(self) -> Process:
        seen = self.systemd.show(self.service)
        state = "absent" if self._stopped and seen.active in ("inactive", "failed") else _state(seen)
        return Process(state, self._last_words(seen) if state in ("exited", "failing") else "")

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        """Writes both files and starts the unit; raises `HostError` when the unit exists and is not ours."""
        if _state(self.systemd.show(self.service)) == "running":
            return
        for finding in self.findings():
            raise HostError(finding.text, advice=finding.advice)
        self.place.prepare()
        variables = environment_lines(settings(self.spec, initial_cluster))
        write_atomic(self.variables_file, variables.encode(), mode=0o600)
        write_atomic(self.unit_file, self.unit_text().encode(), mode=0o644)
        self.systemd.reload()
        self.systemd.start(self.service)
        self._stopped = False

    def findings(self) -> list[Finding]:
        """Returns the problems of this runtime here."""
        self.systemd.show(self.service)
        path = self.unit_file
        if not (path.exists() or path.is_symlink()) or self._is_ours():
            return []
        text = f"{path} exists and was not written for this member"
        return [Finding("unit", "error", text, "choose another --unit, or move that file away")]

    def _is_ours(self) -> bool:
        try:
            return not self.unit_file.is_symlink() and self.unit_file.read_text().partition("\n")[0] == self.mark
        except (OSError, UnicodeDecodeError):
            return False

    def unit_text(self) -> str:
        """Returns the unit file. Type=notify: etcd notifies systemd when it serves; a joiner must receive its data first."""
        user = f"User={unit_text(self.run_as)}\n" if self.run_as else ""
        return f"""{self.mark}
[Unit]
Description=etcd member {unit_text(self.spec.name)}
Documentation=https://etcd.io
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
EnvironmentFile={unit_text(str(self.variables_file))}
ExecStart={unit_word(str(self.spec.program))}
{user}Restart=on-failure
RestartSec=2
TimeoutStartSec=infinity
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""

    def restart(self) -> None:
        self.systemd.restart(self.service)

    def stop(self) -> None:
        if self._is_ours():
            self.systemd.stop(self.service)
            self._stopped = True

    def has_leftovers(self) -> bool:
        return self.place.is_begun or self._is_ours()

    def wipe(self, owner: int | None) -> None:
        """Deletes the unit if it is ours, the data, and the folder next to the data."""
        refuse_another(self.data_dir, of_member(owner))
        if self._is_ours():
            # Also when its process has ended: systemd would start it again after a boot.
            self.systemd.stop(self.service)
            remove_file(self.unit_file)
            self.systemd.reload()
        self.place.give_back(owner)

    def _last_words(self, seen: UnitState) -> str:
        reason = etcd_reason(self.systemd.log(self.service))
        if reason:
            return f"{reason} (log: journalctl -u {self.unit})"
        return f"systemd reports {seen.result}, exit status {seen.exit_status} (log: journalctl -u {self.unit})"


def _state(seen: UnitState) -> ProcessState:
    """Returns the state of the process. `auto-restart`: the process ended by itself and systemd will start it again, which may
    help after a crash; one that ends repeatedly will not become ready."""
    if seen.sub == "auto-restart":
        return "failing" if seen.restarts >= _MOST_RESTARTS else "running"
    if seen.active in ("active", "activating", "reloading", "deactivating"):
        return "running"
    return "exited" if seen.loaded and seen.began else "absent"
