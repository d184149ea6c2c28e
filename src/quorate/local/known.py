"""The local clusters of this user. Their reservations of ports name their directories; there is no other register."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError
from quorate.host import ports
from quorate.local.home import Home
from quorate.local.layout import Layout
from quorate.local.remains import members_left
from quorate.local.removed import removed_as_far_as_known
from quorate.local.runtime import REMOVED, describe


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """A cluster's directory and the process of each member, by name; or the `problem` of reading them."""

    root: Path
    processes: dict[str, str]
    problem: str = ""

    @property
    def running(self) -> int:
        return sum(state.startswith("running") for state in self.processes.values())

    @property
    def shown(self) -> list[str]:
        """Returns the names of the members; those that were removed from the cluster are marked, and last."""
        gone = [name for name, state in self.processes.items() if state == REMOVED]
        return [*(name for name in self.processes if name not in gone), *(f"{name} ({REMOVED})" for name in gone)]

    def as_dict(self) -> dict[str, object]:
        """Returns the cluster as `-o json` shows it."""
        shown: dict[str, object] = {"dir": str(self.root), "processes": self.processes}
        return {**shown, "problem": self.problem} if self.problem else shown


def known_clusters() -> list[KnownCluster]:
    """Returns the clusters of this user, running or not, by their directories."""
    return [known for root in sorted({owner.parent for owner in ports.owners()}) if (known := _look(root)) is not None]


def _look(root: Path) -> KnownCluster | None:
    home = Home(Layout(root))
    if not home.layout.state.exists() and not members_left(home.layout):
        return None
    try:
        names, gone = [member.name for member in home.load().members], removed_as_far_as_known(home)
        return KnownCluster(root, {name: REMOVED if name in gone else describe(home.daemon(name)) for name in names})
    except QuorateError as error:
        return KnownCluster(root, {}, error.what)
