"""The files in the directory of a local cluster.

cluster.json             names, ports and phases of the members
lock                     held by the command that works on the cluster
journal                  intents and outcomes of membership changes
replacement.json         the replacement in progress
wanted.json              how many members an unfinished 'up' was asked for
pki/etcd/                the CA and the health check client
members/NAME/data        etcd's data directory
members/NAME/pki/etcd/   this member's server and peer certificates
members/NAME/etcd.log    its log, rotated;  output.log: its other output (panics)
members/NAME/process.json   the identity of its process
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quorate.core.new_member import check_new_name
from quorate.errors import ConfigError
from quorate.files import user_folder
from quorate.foreign.aside import meant_for
from quorate.foreign.text import to_paste
from quorate.host import etcd_data

_LONGEST_NAME = 63


def default_folder() -> Path:
    """Returns the directory that is used without --dir."""
    return user_folder("XDG_DATA_HOME", ".local", "share") / "quorate" / "local"


def check_root(root: Path) -> None:
    """Raises `ConfigError` for a directory whose path etcd would read as another one. It takes the path of its log for a URL,
    and a comma for the end of a path: the log of `/tmp/q%41z` went to /tmp/qAz. No escape means the same to 3.4 and to 3.7."""
    bad = sorted({letter for letter in str(root) if letter in "%?#," or letter < " " or letter == "\x7f"})
    if bad:
        raise ConfigError(
            f"{root} cannot be the directory of a local cluster: etcd reads the path of its log as a URL, in which "
            f"{' and '.join(map(repr, bad))} cannot stand",
            state="nothing was started",
            advice="choose a directory without such characters with --dir",
        )


def check_name(name: str) -> str:
    """Returns the name if a local member may have it: legal and at most 63 characters, because its folder and certificate
    use it. Raises `ConfigError`."""
    if len(check_new_name(name)) > _LONGEST_NAME:
        raise ConfigError(f"{name!r} cannot be a member name here: {_LONGEST_NAME} characters at most")
    return name


@dataclass(frozen=True, slots=True)
class MemberPaths:
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pki(self) -> Path:
        return self.folder / "pki" / "etcd"

    @property
    def log(self) -> Path:
        return self.folder / "etcd.log"

    @property
    def output(self) -> Path:
        return self.folder / "output.log"

    @property
    def process(self) -> Path:
        return self.folder / "process.json"

    @property
    def made(self) -> list[Path]:
        """Returns what we and its etcd make in the folder, but for the data: also rotated logs, and what killed writes left."""
        try:
            names = sorted(entry.name for entry in self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        ours = {self.pki.parent.name, self.log.name, f"{self.log.name}.1", self.output.name, self.process.name}
        return [self.folder / name for name in names if name in ours or meant_for(name) in ours or self._is_rotated(name)]

    def _is_rotated(self, name: str) -> bool:
        return name.startswith(f"{self.log.stem}-") and name.endswith(self.log.suffix)

    @property
    def has_data(self) -> bool:
        """Returns whether etcd has written a WAL there: then it knows its own id and ignores every `--initial-…` flag."""
        return etcd_data.has_log(self.data)


@dataclass(frozen=True, slots=True)
class Layout:
    root: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Returns the files of ours next to the folders; the state near the end, and the lock last: by them the next command
        knows that what a killed deletion left is ours."""
        return (self.journal, self.replacement, self.wanted, self.state, self.lock)

    def is_leftover(self, name: str) -> bool:
        """Returns whether a file of that name is what a killed run has left of a write of ours (`files.write_atomic`)."""
        return meant_for(name) in {path.name for path in self.files}

    @property
    def option(self) -> str:
        """Returns the option that names this directory in a command to paste."""
        return to_paste("--dir", str(self.root))

    @property
    def state(self) -> Path:
        return self.root / "cluster.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def wanted(self) -> Path:
        return self.root / "wanted.json"

    @property
    def replacement(self) -> Path:
        return self.root / "replacement.json"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def pki(self) -> Path:
        return self.root / "pki" / "etcd"

    @property
    def members(self) -> Path:
        return self.root / "members"

    def member(self, name: str) -> MemberPaths:
        return MemberPaths(self.members / check_name(name))
