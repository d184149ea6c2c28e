"""Watches the true state of the world and says which properties a run broke. Collected, so that nothing can swallow them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from model.sim.margin import real_margin
from quorate.core.catch_up import FRESH_SECONDS

if TYPE_CHECKING:
    from model.sim.etcd import SimCluster
    from model.sim.machine import Machine

LINK_SECONDS = 7.0
"""Three beats of a link's heartbeat, twice, and some: what the metrics of two members need to show that a link died."""

_UNCHANGED = re.compile(r"nothing was changed")


class Unsound(AssertionError):  # noqa: N818
    """A property does not hold; the message names it, the world and how to replay it."""


class Seen(NamedTuple):
    """A moment of the tool's realtime clock, and how many faults had happened by then."""

    at: float
    faults: int


class Effect(NamedTuple):
    """A membership change that the tool asked for and that was carried out."""

    method: str
    member_id: int
    late: bool


def claims_undone(error: BaseException) -> bool:
    """Whether an error says, for programs, that the join was rolled back."""
    return any(row.get("outcome") == "undone" for row in getattr(error, "outcomes", ()))


def claims_unchanged(error: BaseException) -> bool:
    return bool(_UNCHANGED.search(getattr(error, "state", "")))


@dataclass
class Witness:
    """`registered`: ids that the tool's own MemberAdds got; `named`: ids that the operator told it to remove; `consent`:
    whether less tolerance was accepted. `residual`: worlds that no tool can exclude."""

    registered: set[int] = field(default_factory=set[int])
    named: set[int] = field(default_factory=set[int])
    consent: bool = False
    faults: int = 0
    broken: list[str] = field(default_factory=list[str])
    residual: list[str] = field(default_factory=list[str])
    effects: list[Effect] = field(default_factory=list[Effect])
    replaces: bool = False
    floor: int = 0
    """The margin without the members that the tool added: a `replace` may come back to it."""

    written: tuple[int, Seen] = field(default_factory=lambda: (0, Seen(0.0, 0)))
    """The raft index of the tool's newest answered write, and when it was committed."""

    proven: dict[int, Seen] = field(default_factory=dict[int, Seen])
    """By member: when the newest write that it told to have applied was committed. From there on nothing is known of it."""

    sent: dict[int, Seen] = field(default_factory=dict[int, Seen])
    asked: dict[str, Seen] = field(default_factory=dict[str, Seen])
    """By machine: when it last answered, or did not answer, what only a quorum can answer."""

    removals: dict[int, tuple[float, dict[str, Seen]]] = field(default_factory=dict[int, "tuple[float, dict[str, Seen]]"])
    slow_fault_at: float = 0.0
    """When a link between two that do not lead was cut: that is seen only in seconds."""

    stopped: set[str] = field(default_factory=set[str])
    promote_windows: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Of each promotion sent: the age of its proof, and the deadline of the call."""

    say: Callable[[str], None] = print

    def fail(self, text: str) -> None:
        self.broken.append(text)
        self.say(f"BROKEN {text}")

    # -- what the tool hears and asks --------------------------------------------------------------------------------------

    def wrote(self, index: int, now: float) -> None:
        self.written = (index, Seen(now, self.faults))

    def heard(self, member_id: int, applied: int) -> None:
        """A Status of this member was answered: it may show that what the tool wrote has arrived."""
        index, when = self.written
        if index and applied >= index:
            self.proven[member_id] = when

    def asked_through_quorum(self, machine: str, now: float) -> None:
        self.asked[machine] = Seen(now, self.faults)

    def asked_promotion(self, member_id: int, now: float, timeout: float) -> None:
        self.sent[member_id] = Seen(now, self.faults)
        proven = self.proven.get(member_id)
        self.promote_windows.append((now - proven.at if proven else float("inf"), timeout))

    def asked_removal(self, member_id: int, now: float) -> None:
        self.removals[member_id] = (now, dict(self.asked))

    # -- what came of it -----------------------------------------------------------------------------------------------------

    def added(self, member_id: int, *, late: bool) -> None:
        self.registered.add(member_id)
        self.effects.append(Effect("MemberAdd", member_id, late))

    def promoted(self, cluster: SimCluster, member_id: int, before: int, *, late: bool) -> None:
        """P5, and the late half of P1: a promotion of ours gives a vote to a process that we ended."""
        self.effects.append(Effect("MemberPromote", member_id, late))
        one, after = cluster.machine_of(member_id), real_margin(cluster)
        if one is None or one.name in self.stopped:
            self.fail(f"P1: our promotion gave a vote to {member_id:x}, whose process the tool had ended{' (late)' * late}")
        if after < before:
            self._lowered(member_id, before, after, late=late)

    def _lowered(self, member_id: int, before: int, after: int, *, late: bool) -> None:
        proven, sent = self.proven.get(member_id), self.sent.get(member_id)
        words = f"the promotion of {member_id:x} lowered the margin from {before} to {after}{' (late)' * late}"
        if proven is None or sent is None:
            self.fail(f"P5: {words}; it was never seen to apply what the tool wrote")
        elif sent.at - proven.at > FRESH_SECONDS:
            self.fail(
                f"P5: {words}; it was sent {sent.at - proven.at:.1f} s after the write that the learner was seen to apply"
            )
        elif self.faults != proven.faults:
            self.residual.append(f"{words}; a fault fell behind the last write it applied ({sent.at - proven.at:.3f} s)")
        elif sent.at - self.slow_fault_at < LINK_SECONDS:
            self.residual.append(
                f"{words}; a link between two that do not lead was cut {sent.at - self.slow_fault_at:.3f} s before"
            )
        else:
            self.fail(f"P5: {words}; no fault fell between the last write it applied and the promotion")

    def removed(self, cluster: SimCluster, member_id: int, before: int, after: int, *, was_voter: bool, late: bool) -> None:
        self.effects.append(Effect("MemberRemove", member_id, late))
        if member_id not in self.registered | self.named:
            self.fail(f"P2: {member_id:x} was removed, which this tool did not register and nobody named")
        if was_voter and member_id not in self.named:
            self._unforeseen(cluster, member_id, "P2: it was a voter")
        consent = self.consent or (self.replaces and after >= self.floor)
        if was_voter and after < 0 <= before:
            self._unforeseen(cluster, member_id, f"P8: that lowered the margin from {before} to {after}: no quorum is left")
        elif was_voter and after < before and not consent:
            self._unforeseen(cluster, member_id, f"P8: that lowered the margin from {before} to {after} without consent")

    def _unforeseen(self, cluster: SimCluster, member_id: int, text: str) -> None:
        """A failure, unless it came of a fault behind the last time each voter was asked something through the quorum, and
        that was a moment before the request."""
        sent, asked = self.removals[member_id]
        voters = [one for row in cluster.state.voters if (one := cluster.machine_of(row.id))]
        last = min((asked.get(one.name, Seen(0.0, 0)) for one in voters), default=Seen(0.0, 0))
        text = f"{text} (removing {member_id:x})"
        if self.faults > last.faults and sent - last.at <= FRESH_SECONDS:
            self.residual.append(f"{text}; a fault fell behind the last question to every voter ({sent - last.at:.3f} s)")
        else:
            self.fail(text)

    # -- processes -------------------------------------------------------------------------------------------------------------

    def ended(self, cluster: SimCluster, one: Machine, how: str) -> None:
        """P1 (stop, restart or wipe of a voter)."""
        if self._is_listed(cluster, one, learner=False):
            self.fail(f"P1: the tool {how} {one.name}, which is a committed voter")
        if how != "restarted":
            self.stopped.add(one.name)

    def wiped(self, cluster: SimCluster, one: Machine) -> None:
        """P3."""
        self.ended(cluster, one, "wiped")
        if self._is_listed(cluster, one, learner=True):
            self.fail(f"P3: the tool deleted the data of {one.name}, which is still a listed learner")

    def _is_listed(self, cluster: SimCluster, one: Machine, *, learner: bool) -> bool:
        """By the id that its data is of; a machine without data by the member of ours that is to run there."""
        if one.has_data:
            row = cluster.state.rows.get(one.member_id)
            return row is not None and row.is_learner == learner
        mine = [row for row in cluster.state.rows.values() if set(row.peer_urls) & set(one.peer_urls)]
        return any(row.is_learner == learner and row.id in self.registered for row in mine)
