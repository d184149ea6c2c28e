"""The policy of an autopilot: how many voters and standbys it keeps, and when a silent voter counts as lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Promotion: TypeAlias = Literal["owned", "any"]
"""Which learners get a vote: those that a join of this tool added or that are marked as standbys, or every one."""

LEAST_AFTER = 60.0
"""Least seconds of silence after which a voter may count as lost. A machine that restarts is away for minutes; products with
shorter limits removed members that were loading a snapshot (vault#16919, vault PR#27793)."""

MOST_PER = 24 * 3600.0
"""Most seconds of `per`: what was begun is forgotten after a day."""

MOST_VOTERS = 7
"""etcd's own advice: every write waits for a majority."""


class Flaw(NamedTuple):
    """What is wrong with a field of a policy. `path`: as it is written in the document, such as replaceDead.after."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Policy:
    """`voters`: how many there shall be; the autopilot never shrinks a cluster. `standbys`: learners that are kept ready.
    `aligned_for`: seconds for which a learner must be aligned before its vote. `after`: seconds of silence, towards every other
    member, after which a voter is replaced; None where no voter is replaced.
    `per`, `day`: at most one replacement in `per` seconds, and `day` in 24 hours.
    `brake`: so many voters that fall silent within `after` of each other are a fault of network or power, and nothing is
    replaced. `zones`: zone by member name, for the choice of a standby."""

    voters: int = 3
    standbys: int = 0
    promote: Promotion = "owned"
    aligned_for: float = 10.0
    after: float | None = 600.0
    per: float = 1800.0
    day: int = 3
    brake: int = 2
    zones: tuple[tuple[str, str], ...] = ()

    @property
    def window(self) -> float:
        """Seconds within which voters that fall silent fell silent together."""
        return LEAST_AFTER if self.after is None else self.after

    def zone_of(self, name: str) -> str:
        return dict(self.zones).get(name, "")

    def problems(self) -> list[Flaw]:
        """Returns everything that makes the policy one that cannot hold in any cluster."""
        found: list[Flaw] = []
        if not 1 <= self.voters <= MOST_VOTERS:
            found.append(Flaw("voters", f"{self.voters} is not from 1 to {MOST_VOTERS}"))
        elif self.voters % 2 == 0:
            less = self.voters - 1
            text = f"{self.voters} tolerate no more failures than {less}: choose {less} or {self.voters + 1}"
            found.append(Flaw("voters", text))
        if not 0 <= self.standbys <= MOST_VOTERS:
            found.append(Flaw("standbys", f"{self.standbys} is not from 0 to {MOST_VOTERS}"))
        if self.aligned_for < 0:
            found.append(Flaw("alignedFor", f"{self.aligned_for:g} s is below 0"))
        return [*found, *self._of_replacements(), *self._of_zones()]

    def _of_replacements(self) -> list[Flaw]:
        if self.after is None:
            return []
        found: list[Flaw] = []
        if self.after < LEAST_AFTER:
            text = f"{self.after:g} s is less than {LEAST_AFTER:g} s, in which a machine restarts"
            found.append(Flaw("replaceDead.after", text))
        if self.per < self.after:
            text = f"{self.per:g} s is less than after, {self.after:g} s: the budget would never end"
            found.append(Flaw("replaceDead.budget.per", text))
        if self.per > MOST_PER:
            text = f"{self.per:g} s is more than a day, for which replacements are counted"
            found.append(Flaw("replaceDead.budget.per", text))
        if self.day < 1:
            text = f"{self.day} replacements allow none: to only promote, leave replaceDead out"
            found.append(Flaw("replaceDead.budget.day", text))
        if self.brake < 2:
            found.append(Flaw("replaceDead.brake", f"{self.brake} would stop every replacement: 2 is the least"))
        return found

    def _of_zones(self) -> list[Flaw]:
        names = [name for name, _ in self.zones]
        twice = sorted({name for name in names if names.count(name) > 1})
        found = [Flaw(f"zones.{name}", "this member is named twice") for name in twice]
        return found + [Flaw(f"zones.{name}", "its zone is empty") for name, zone in self.zones if not zone]
