"""Holds a service of systemd: its etcd is ended, and does not start again, also not after a boot, until it is let go.

`systemctl mask` does not do it: it refuses a unit file in /etc/systemd/system, where most etcds' are. A drop-in with a
condition that never holds does, for whatever starts the service, and `systemctl status` names it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import Refused
from quorate.files import make_folder, remove_file, write_atomic
from quorate.foreign.local_files import read_at_most
from quorate.foreign.text import to_paste
from quorate.host.running_etcds import open_in
from quorate.host.systemd import UNIT_FOLDER, Systemd
from quorate.host.units import unit_text
from quorate.recovery.fence import unit_of

_DROP_IN = "quorate-held.conf"
_DATA = "# data: "
_MOST_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class UnitHold:
    """The service `unit` (without .service), whose etcd has its data in `data_dir`."""

    unit: str
    data_dir: Path
    systemd: Systemd = field(default_factory=Systemd)
    folder: Path = UNIT_FOLDER

    @property
    def service(self) -> str:
        return f"{self.unit}.service"

    @property
    def drop_in(self) -> Path:
        return self.folder / f"{self.service}.d" / _DROP_IN

    def is_held(self) -> bool:
        """Returns whether it is held for this data, perhaps by a run that was killed."""
        return _data_of(self.drop_in) == str(self.data_dir)

    def refuse_another(self) -> None:
        """Raises `Refused` where the service is none, or is not that of the etcd that runs on this data: another one would be
        ended."""
        state = self.systemd.show(self.service)
        if not state.loaded:
            raise self._refused(f"systemd knows no service {self.service}")
        running = open_in(self.data_dir)
        if running is not None and unit_of(running) != self.unit:
            raise self._refused(f"the etcd that runs on {self.data_dir} (pid {running.pid}) is not one of {self.service}")
        if running is None and state.sub == "running":
            raise self._refused(f"{self.service} runs, and not on {self.data_dir}")
        other = _data_of(self.drop_in)
        if other not in ("", str(self.data_dir)):
            raise self._refused(f"{self.service} is held already, for {other}")

    def hold(self) -> None:
        """Ends the service, and keeps it from starting. Raises `HostError`; it may be held then."""
        make_folder(self.drop_in.parent, mode=0o755)
        write_atomic(self.drop_in, self._text().encode(), mode=0o644)
        self.systemd.reload()
        self.systemd.end(self.service)

    def let_go(self) -> None:
        """Lets it start again, and starts it. Raises `HostError`."""
        remove_file(self.drop_in)
        with suppress(OSError):
            # Others may have drop-ins there.
            self.drop_in.parent.rmdir()
        self.systemd.reload()
        self.systemd.begin(self.service)

    def _text(self) -> str:
        data = unit_text(str(self.data_dir)).replace("%%", "%")
        return f"""# Written by quorate: {self.service} does not start while its data is held.
{_DATA}{data}
# How far a recovery came: {to_paste("quorate", "etcd", "recovery", "status", data)}
# To let it start again: delete this file, and: systemctl daemon-reload
[Unit]
ConditionPathExists=!/
"""

    def _refused(self, why: str) -> Refused:
        return Refused(why, state="nothing was changed", advice="name the service whose etcd it is with --unit")


def _data_of(drop_in: Path) -> str:
    """Returns the data directory for which a service is held; empty where it is not."""
    if not drop_in.is_file():
        return ""
    lines = read_at_most(drop_in, _MOST_BYTES).decode(errors="replace").splitlines()
    return next((line.removeprefix(_DATA) for line in lines if line.startswith(_DATA)), "")


def held_for(data_dir: Path, folder: Path = UNIT_FOLDER) -> UnitHold | None:
    """Returns the service that is held for this data, as a run that was killed has left it; None for none."""
    for one in sorted(folder.glob(f"*.service.d/{_DROP_IN}")):
        unit = one.parent.name.removesuffix(".service.d")
        if _data_of(one) == str(data_dir):
            return UnitHold(unit, data_dir, folder=folder)
    return None
