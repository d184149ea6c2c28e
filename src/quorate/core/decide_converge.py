"""Decides the next step from the present members to the wanted members: one join or one removal at a time (decision 10).

Dead members that are not wanted are removed first, because a dead voter counts against the quorum. Then joins and removals
alternate, so there is never more than one voter above the larger of the two sizes, and no step lowers how many may fail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from quorate.arguments import checked
from quorate.core.actions import Done, Refuse
from quorate.core.foresight import having_joined, having_left
from quorate.core.ids import format_id, normalise_url, same_url
from quorate.core.membership import (
    ClusterView,
    Member,
    margin_of,
    removal_margins,
    silent_voters,
    starting_advice,
)
from quorate.core.quorum import fewer_may_fail
from quorate.errors import ConfigError
from quorate.foreign.text import to_paste
from quorate.spelling import spelled


@checked
@dataclass(frozen=True, slots=True)
class Wanted:
    """One member that the cluster shall have; `is_learner`: as the learner that it is, such as a standby. Raises `ConfigError`
    for what is no peer URL."""

    name: str
    peer_url: str
    is_learner: bool = False

    def __post_init__(self) -> None:
        try:
            normalise_url(self.peer_url)
        except ConfigError as error:
            raise ConfigError(f"peer_url: {error.what}", state="nothing was changed") from None


@checked
@dataclass(frozen=True, slots=True)
class ConvergeGoal:
    """The goal: the voters and the learners are exactly `wanted`. Fewer voters than now may tolerate fewer
    failures, which needs consent. Raises `ConfigError` for a name or a peer URL that two of them have."""

    wanted: tuple[Wanted, ...]
    accept_reduced_tolerance: bool = False

    def __post_init__(self) -> None:
        if problem := named_twice(self.wanted):
            raise ConfigError(f"the wanted members have {problem}", state="nothing was changed")


def named_twice(wanted: Sequence[Wanted]) -> str:
    """Returns the name or the peer URL that two of the members have; empty when there is none."""
    for kind, values in (("name", [row.name for row in wanted]), ("peerURL", [normalise_url(row.peer_url) for row in wanted])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            return f"the {kind} {twice} twice"
    return ""


@dataclass(frozen=True, slots=True)
class JoinNext:
    """Makes `member` a verified voter: adds it, or continues with the learner that is `listed` already. `why` says what is
    special about that learner."""

    member: Wanted
    listed: Member | None = None
    why: str = ""

    def as_dict(self) -> dict[str, object]:
        """Returns the step as `-o json` shows it."""
        return {
            "action": "promote" if self.listed else "join",
            "id": format_id(self.listed.id) if self.listed else None,
            "name": self.member.name,
            "peerURL": self.member.peer_url,
            "reason": self.why,
        }


@dataclass(frozen=True, slots=True)
class RemoveNext:
    """Removes `member`; `why` is the reason: unwanted, an unwanted learner, or dead."""

    member: Member
    why: str

    def as_dict(self) -> dict[str, object]:
        """Returns the step as `-o json` shows it."""
        gone = self.member
        return {
            "action": "remove",
            "id": format_id(gone.id),
            "name": gone.name,
            "peerURL": gone.peer_urls[0],
            "reason": self.why,
        }


NextStep: TypeAlias = JoinNext | RemoveNext
Choice: TypeAlias = NextStep | Done | Refuse


def decide_converge(view: ClusterView, goal: ConvergeGoal, dead: Collection[int] = ()) -> Choice:
    """Returns the next step towards `goal`. `dead`: the voters whose absence is proved. The invariants check the step again
    when it is carried out.

    The law: no step lowers how many voters may fail, except the last removals towards a smaller goal, and only with consent.
    Why it holds: dead members are removed first, which lowers nothing. Then a live member is removed only where the margin
    stays as it is, such as from four voters to three; otherwise a wanted member joins. So joins and removals alternate."""
    if all(row.is_learner for row in goal.wanted):
        return Refuse(
            "the goal has no voters" if goal.wanted else "the goal has no members",
            "a cluster needs at least one voter: name the members that it shall have",
        )
    if margin_of(view) < 0:
        # Each step would be refused anyway. Refusing here gives the operator one reason instead of a failed step.
        return Refuse(
            f"there is no quorum: {view.reachable_voters} of {len(view.voters)} voters follow a leader",
            f"{starting_advice(view)} first",
        )
    unwanted = [member for member in view.members if not _is_wanted(member, goal)]
    missing = [row for row in goal.wanted if not row.is_learner and not _is_voter_already(row, view)]
    # A wanted learner that is listed already holds the seat that the others wait for.
    missing.sort(key=lambda row: view.by_peer_urls((row.peer_url,)) is None)
    return (
        _renamed(view, goal)
        or _no_learner(view, goal)
        or _remove_dead(view, unwanted, dead)
        or _clash(unwanted, missing)
        or _take_turns(view, unwanted, missing, goal)
    )


def _is_wanted(member: Member, goal: ConvergeGoal) -> bool:
    return any(same_url(row.peer_url, url) for row in goal.wanted for url in member.peer_urls)


def _is_voter_already(row: Wanted, view: ClusterView) -> bool:
    member = view.by_peer_urls((row.peer_url,))
    return member is not None and not member.is_learner


def unwanted_silent(view: ClusterView, goal: ConvergeGoal) -> list[Member]:
    """Returns the voters that are not wanted and do not answer; the caller watches whether they are dead before it decides."""
    return [row for row in view.voters if not _is_wanted(row, goal) and view.answer(row.id) is None]


def _remove_dead(view: ClusterView, unwanted: list[Member], dead: Collection[int]) -> RemoveNext | None:
    """Removes unwanted learners and dead voters. A learner has no vote and a dead voter only counts against the quorum, so
    neither removal lowers the margin. While an unwanted learner holds the one learner seat, no other member can join."""
    for member in unwanted:
        if member.is_learner:
            what = "a standby of the autopilot" if view.is_standby(member) else "a learner"
            return RemoveNext(member, f"{what} that is not wanted")
        if member.id in dead:
            return RemoveNext(member, "it is dead and is not wanted")
    return None


def _renamed(view: ClusterView, goal: ConvergeGoal) -> Refuse | None:
    """Refuses another name for a member that is listed: only its own --name changes that, and the plan would say that nothing
    is to be done."""
    for row in goal.wanted:
        member = view.by_peer_urls((row.peer_url,))
        if member is not None and member.started and member.name != row.name:
            return Refuse(
                f"the member at {row.peer_url} is named {member.name}, not {row.name}",
                f"name it {member.name}; or give the peer URL that {row.name} will have",
            )
    return None


def _no_learner(view: ClusterView, goal: ConvergeGoal) -> Refuse | None:
    """Refuses a wanted learner that is none: plans make voters, and etcd takes no vote back. One that is there stays as it
    is."""
    for row in (row for row in goal.wanted if row.is_learner):
        member = view.by_peer_urls((row.peer_url,))
        if member is None:
            add = to_paste("quorate", "etcd", "add", row.name, "--peer-urls", row.peer_url, "--standby")
            return Refuse(
                f"{row.name} is wanted as a learner and is no member: a plan adds voters", f"{add}    # or leave it out"
            )
        if not member.is_learner:
            return Refuse(
                f"{row.name} is wanted as a learner and is a voter: etcd takes no vote back",
                "want it as a voter, without isLearner; or remove it, and add it as a standby",
            )
    return None


def _clash(unwanted: list[Member], missing: list[Wanted]) -> Refuse | None:
    """Refuses a wanted name that another member has at another peer URL: members of one name cannot be distinguished."""
    names = {member.name for member in unwanted if member.name}
    clash = next((row for row in missing if row.name in names), None)
    if clash is None:
        return None
    return Refuse(
        f"a member named {clash.name} already exists, at another peer URL than {clash.peer_url}",
        to_paste("quorate", "etcd", "remove", clash.name) + "    # or give the new member another name",
    )


def _take_turns(view: ClusterView, unwanted: list[Member], missing: list[Wanted], goal: ConvergeGoal) -> Choice:
    removal = _removal(view, unwanted)
    before, left = removal_margins(view, removal.member.id, dead=False) if removal else (0, 0)
    if removal is not None and len(view.voters) > 1 and left >= before:
        return removal
    if missing:
        listed = view.by_peer_urls((missing[0].peer_url,))
        standby = listed is not None and view.is_standby(listed)
        return JoinNext(missing[0], listed, "a standby of the autopilot" if standby else "")
    if removal is None:
        return Done()
    if left < 0:
        silent = ", ".join(silent_voters(view))
        first = f"start the voters that are down first{f': {silent}' if silent else ''}"
        return Refuse(f"without {removal.member.name} there would be no quorum", first)
    if goal.accept_reduced_tolerance:
        return removal
    return Refuse(
        f"without {removal.member.name}, {fewer_may_fail(left, before)}",
        f"accept the lower tolerance with {spelled('--accept-reduced-tolerance')}",
    )


def _removal(view: ClusterView, unwanted: list[Member]) -> RemoveNext | None:
    """Returns the next unwanted member to remove, the leader last: removing a leader costs a leadership transfer."""
    leader = view.leader.id if view.leader else 0
    order = sorted(unwanted, key=lambda member: (member.id == leader, member.name, member.id))
    return RemoveNext(order[0], "it is not wanted") if order else None


def steps(view: ClusterView, goal: ConvergeGoal, dead: Collection[int] = ()) -> Iterator[Choice]:
    """Yields all steps from here if nothing else changes, the last one `Done` or `Refuse`; for a preview."""
    while True:
        choice = decide_converge(view, goal, dead)
        yield choice
        if isinstance(choice, Done | Refuse):
            return
        view = after(view, choice)


def after(view: ClusterView, step: NextStep) -> ClusterView:
    """Returns the view as it would be after the step has succeeded."""
    if isinstance(step, RemoveNext):
        return having_left(view, step.member.id)
    return having_joined(view, step.member.name, step.member.peer_url)
