"""Outcomes of a join or a removal, as values: text, JSON and the exit code follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from quorate.core.ids import format_id


@dataclass(frozen=True, slots=True)
class Joined:
    """The member is a verified voter. `timings`: seconds from the MemberAdd to each step: started, aligned, promoted,
    serving. `restarted`: the one restart for a lost publish was made."""

    kind: ClassVar[str] = "joined"
    name: str
    member_id: int
    timings: Mapping[str, float] = field(default_factory=dict[str, float])
    restarted: bool = False

    def as_dict(self) -> dict[str, object]:
        """Returns the join as `-o json` shows it."""
        return {
            "id": format_id(self.member_id),
            "name": self.name,
            "restarted": self.restarted,
            "timings": {step: round(seconds, 4) for step, seconds in self.timings.items()},
        }


@dataclass(frozen=True, slots=True)
class Undone:
    """The member list is as before: the id was seen to be absent from a list read through the quorum, or never was in it.
    `data`: what happened to the data on this host."""

    kind: ClassVar[str] = "undone"
    name: str
    member_id: int = 0
    data: str = "none"


@dataclass(frozen=True, slots=True)
class Kept:
    """Nothing was rolled back, on purpose: the learner is foreign, the member is a voter, or the operator asked for it."""

    kind: ClassVar[str] = "kept"
    name: str
    why: str
    member_id: int = 0


def voter_kept(name: str, member_id: int) -> Kept:
    """Returns the outcome where etcd has confirmed the promotion, and the voter was not seen to serve."""
    return Kept(name, f"{name} is a voter: etcd confirmed its promotion; it was not seen to serve yet", member_id)


@dataclass(frozen=True, slots=True)
class NotUndone:
    """The rollback did not finish: the learner may still be listed. It has no vote; the same command continues."""

    kind: ClassVar[str] = "not-undone"
    name: str
    why: str
    member_id: int = 0


@dataclass(frozen=True, slots=True)
class VoteUnknown:
    """A promotion was sent and its outcome is unknown: nothing was stopped or deleted."""

    kind: ClassVar[str] = "vote-unknown"
    name: str
    member_id: int = 0


JoinOutcome: TypeAlias = Joined | Undone | Kept | NotUndone | VoteUnknown


@dataclass(frozen=True, slots=True)
class Removed:
    """The id is absent from a list that was read through the quorum after it had been listed."""

    kind: ClassVar[str] = "removed"
    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The member is listed, and no removal of ours is on its way."""

    kind: ClassVar[str] = "unchanged"
    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class RemovalUnknown:
    """A removal was sent and not answered, and no list could be read through the quorum since."""

    kind: ClassVar[str] = "removal-unknown"
    name: str
    member_id: int


RemoveOutcome: TypeAlias = Removed | Unchanged | RemovalUnknown
Outcome: TypeAlias = JoinOutcome | RemoveOutcome


def is_unknown(outcome: Outcome) -> bool:
    """Returns whether the state of the cluster is unknown now: exit code 5."""
    if isinstance(outcome, NotUndone):
        # With a known id the state is known: our learner, without a vote. Without an id the add may still arrive.
        return outcome.member_id == 0
    return isinstance(outcome, VoteUnknown | RemovalUnknown)


def as_dict(outcome: Outcome) -> dict[str, object]:
    """Returns the outcome as `-o json` shows it."""
    shown: dict[str, object] = {"outcome": outcome.kind, "name": outcome.name}
    shown["member"] = format_id(outcome.member_id) if outcome.member_id else None
    if isinstance(outcome, Undone):
        shown["data"] = outcome.data
    if isinstance(outcome, Kept | NotUndone):
        shown["reason"] = outcome.why
    return shown


def describe(outcome: Outcome) -> str:  # noqa: C901, PLR0911 (a table of sentences, one a kind)
    """Returns the state of the cluster now, in one sentence."""
    name = outcome.name
    match outcome:
        case Joined():
            return f"{name} is a voter and serves"
        case Undone(data="deleted"):
            return f"{name} was rolled back: the member list is as before, its data is deleted"
        case Undone(data="elsewhere"):
            return f"{name} was rolled back: the member list is as before; if its etcd was started, stop it and delete its data"
        case Undone():
            return f"{name} was rolled back: the member list is as before"
        case Kept(why=why):
            return why
        case NotUndone(why=why):
            return f"{name} could not be rolled back ({why}); run the same command again"
        case VoteUnknown():
            return f"it is unknown whether {name} was promoted, so nothing was rolled back; run the same command again"
        case Removed():
            return f"{name} is no longer a member"
        case Unchanged():
            return f"{name} is still a member"
        case RemovalUnknown():
            return f"it is unknown whether {name} was removed"
