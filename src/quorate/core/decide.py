"""What to do next to make joiners voters: one pure function from what is observed to one step.

Level-triggered: it never looks at what was done before, only at what is there, so a crash needs no special path and a
second run of the same command continues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from quorate.core.actions import (
    AddLearner,
    AddVoter,
    Decision,
    Do,
    Done,
    Promote,
    ProveAlignment,
    Refuse,
    RestartLearner,
    StartMember,
    VerifyVoter,
    Wait,
)
from quorate.core.membership import Answer, ClusterView, Member
from quorate.core.readiness import Proof, lag_entries

RESTART_GRACE_SECONDS = 0.05
"""How long a learner whose snapshot is applied may stay silent before it counts as having lost its publish: one that
did not lose it opens its client port within milliseconds of that moment."""

NEAR_ENTRIES = 1000
"""Above this lag a learner is plainly catching up, and asking it to prove alignment would only add writes."""

ProcessState: TypeAlias = Literal["absent", "running", "exited", "failing"]
"""`failing`: something beside us starts it again and again, in vain."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """One member that is to become a voter, and what is known of it beside the cluster's own view.

    `has_data`: its data directory holds a log of etcd's. `listed_itself_at` is since when (monotonic seconds) its own peer
    port lists it with client URLs, which it can only know from applied data; None while it does not. `restarted` is True
    once this join restarted it, in this run or an earlier one. `proof` and `verified` are results of `ProveAlignment` and
    `VerifyVoter`.
    """

    name: str
    peer_urls: tuple[str, ...]
    process: ProcessState = "absent"
    exit_note: str = ""
    has_data: bool = False
    listed_itself_at: float | None = None
    can_restart: bool = True
    restarted: bool = False
    proof: Proof | None = None
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Grow:
    """The goal: all of `joiners` are verified voters. `learner_seats` and `voter_join` as in `invariants.Limits`."""

    joiners: tuple[Joiner, ...]
    learner_seats: int = 1
    voter_join: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """One joiner seen in one view: what every rule below looks at."""

    view: ClusterView
    goal: Grow
    now: float
    joiner: Joiner

    @property
    def member(self) -> Member | None:
        return self.view.by_peer_urls(self.joiner.peer_urls)

    @property
    def answer(self) -> Answer | None:
        return self.view.answer(self.member.id) if self.member else None

    @property
    def learner(self) -> Member | None:
        return self.member if self.member and self.member.is_learner else None

    @property
    def voter(self) -> Member | None:
        return self.member if self.member and not self.member.is_learner else None


def decide_grow(view: ClusterView, goal: Grow, now: float) -> Decision:
    """The next step towards `goal`; `now` is on the clock of `view.taken_at`.

    Rules are tried in order over all joiners, so that a promoted member is verified before the next is promoted, and all
    learners are added before any is started: a joiner whose `--initial-cluster` is shorter than the list will not start.
    """
    cases = [_Case(view, goal, now, joiner) for joiner in goal.joiners]
    for rule in (*RULES_WITHOUT_LEADER, *(RULES if view.leader else ())):
        for case in cases:
            decision = rule(case)
            if decision is not None:
                return decision
    if view.leader is None:
        return Wait("catch-up", "", "no member says that it leads: waiting for an election")
    return Done()


def start_stopped_voter(case: _Case) -> Decision | None:
    """A joiner that has its vote and stopped may be the very one a leader is missing for: it is started without one.

    Never on an empty directory: a voter that forgot what it acknowledged could let the others lose it. Only in the legacy
    join a voter begins empty, and there only while nobody has seen it run.
    """
    if case.voter is None or case.joiner.process in ("running", "failing") or case.joiner.verified:
        return None
    if not case.joiner.has_data and not (case.goal.voter_join and not case.voter.started):
        return Refuse(
            f"{case.joiner.name} is a voter and its data is gone, so it is not started",
            "remove it from the member list, then join it again",
        )
    return _start(case)


def refuse_wrong_member(case: _Case) -> Decision | None:
    """The peer URL or the name belongs to a member that is not this joiner."""
    same_name = case.view.by_name(case.joiner.name)
    if same_name and not set(same_name.peer_urls) & set(case.joiner.peer_urls):
        return Refuse(
            f"a member named {case.joiner.name} is already there, at {', '.join(same_name.peer_urls)}",
            "choose another name, or remove that member first",
        )
    if case.member and case.member.started and case.member.name != case.joiner.name:
        return Refuse(f"the peer URL {case.joiner.peer_urls[0]} belongs to the member {case.member.name}")
    return None


def refuse_exited(case: _Case) -> Decision | None:
    """Its process ended by itself: it will not catch up. A voter's process is the runtime's to restart."""
    words = {"exited": "ended during its join", "failing": "cannot start"}.get(case.joiner.process)
    return Refuse(f"the etcd of {case.joiner.name} {words}: {case.joiner.exit_note}") if case.learner and words else None


def refuse_failing_voter(case: _Case) -> Decision | None:
    """It has its vote, and whatever starts it does so in vain: only who mends its cause helps, leader or not."""
    if case.voter is None or case.joiner.process != "failing" or case.joiner.verified:
        return None
    return Refuse(
        f"the etcd of {case.joiner.name}, a voter, cannot start: {case.joiner.exit_note}",
        "mend what it complains of, and see it run; then run the same command again",
    )


def verify_promoted(case: _Case) -> Decision | None:
    """A new voter is verified before anything else changes."""
    if case.voter is None or case.joiner.verified:
        return None
    if case.answer is None:
        return Wait("verify", case.joiner.name, "it has a vote now; waiting for it to answer")
    return Do(VerifyVoter(case.joiner.name, case.voter.id))


def add_missing(case: _Case) -> Decision | None:
    if case.member is not None:
        return None
    if len(case.view.learners) >= case.goal.learner_seats:
        return _wait_for_seat(case)
    if any(_is_settling(other) for other in _others(case)):
        return None
    add = AddVoter if case.goal.voter_join else AddLearner
    return Do(add(case.joiner.name, case.joiner.peer_urls))


def _others(case: _Case) -> list[_Case]:
    return [_Case(case.view, case.goal, case.now, other) for other in case.goal.joiners if other != case.joiner]


def _is_settling(case: _Case) -> bool:
    """Its process compares the member list with its `--initial-cluster` just now: a new row would make it give up."""
    return bool(case.learner and not case.learner.started and case.joiner.process == "running")


def _wait_for_seat(case: _Case) -> Decision | None:
    """Learners that this goal brings along make room by themselves; a foreign one is waited for by name."""
    ours = {url for joiner in case.goal.joiners for url in joiner.peer_urls}
    foreign = [learner for learner in case.view.learners if not ours & set(learner.peer_urls)]
    if not foreign:
        return None
    names = ", ".join(f"{learner.name or 'an unstarted learner'} ({learner.id:x})" for learner in foreign)
    return Wait("add", case.joiner.name, f"the learner seat is taken by {names}: waiting for it to be promoted or removed")


def start_absent(case: _Case) -> Decision | None:
    return _start(case) if case.learner and case.joiner.process == "absent" else None


def _start(case: _Case) -> Decision:
    return Do(StartMember(case.joiner.name, initial_cluster(case.view, case.goal)))


def initial_cluster(view: ClusterView, goal: Grow) -> tuple[tuple[str, str], ...]:
    """(name, peer URL) of every member in the list just read; etcd compares the URLs and wants the names unique."""
    names = {url: joiner.name for joiner in goal.joiners for url in joiner.peer_urls}
    rows: list[tuple[str, str]] = []
    for member in view.members:
        name = member.name or names.get(member.peer_urls[0]) or f"unstarted-{member.id:x}"
        rows += [(name, url) for url in member.peer_urls]
    return tuple(rows)


def restart_lost_publish(case: _Case) -> Decision | None:
    """Its data is there, it says so on its peer port, and its client port answers nothing: it waits for a publish that
    went by inside the snapshot. One graceful restart ends that wait; it has no vote, so nothing is at risk."""
    joiner, learner = case.joiner, case.learner
    if learner is None or case.answer is not None or joiner.listed_itself_at is None:
        return None
    if not joiner.can_restart or joiner.restarted or joiner.process != "running":
        return None
    if case.now - joiner.listed_itself_at < RESTART_GRACE_SECONDS:
        return None
    return Do(RestartLearner(joiner.name, learner.id))


def promote_proven(case: _Case) -> Decision | None:
    if case.learner is None or case.joiner.proof is None or case.answer is None:
        return None
    if not case.joiner.proof.holds(member_id=case.learner.id, cluster_id=case.view.cluster_id, now=case.now):
        return None
    return Do(Promote(case.learner.id, case.joiner.name, case.joiner.proof))


def prove_near(case: _Case) -> Decision | None:
    if case.learner is None or case.answer is None or lag_of(case.view, case.learner) > NEAR_ENTRIES:
        return None
    return Do(ProveAlignment(case.joiner.name, case.learner.id))


def lag_of(view: ClusterView, member: Member) -> int:
    """Raft entries `member` has still to apply, by the leader's commit index; the whole log when it does not answer."""
    leader = view.answer(view.leader.id) if view.leader else None
    if leader is None:
        return 0
    answer = view.answer(member.id)
    return lag_entries(leader.raft_index, answer.applied_index if answer else 0)


def wait_for_the_rest(case: _Case) -> Decision | None:
    """Says where an unfinished joiner is."""
    if case.joiner.verified and case.voter is not None:
        return None
    if case.learner is None:
        return Wait("add", case.joiner.name, "waiting for its turn")
    if case.joiner.process == "running" and case.answer is None:
        why = "its data is there; waiting for it to answer clients" if case.joiner.listed_itself_at else "receiving the data"
        return Wait("catch-up", case.joiner.name, why)
    return Wait("catch-up", case.joiner.name, f"{lag_of(case.view, case.learner)} entries behind")


RULES_WITHOUT_LEADER: tuple[Callable[[_Case], Decision | None], ...] = (
    start_stopped_voter,
    refuse_failing_voter,
)
RULES: tuple[Callable[[_Case], Decision | None], ...] = (
    refuse_wrong_member,
    refuse_exited,
    verify_promoted,
    add_missing,
    start_absent,
    restart_lost_publish,
    promote_proven,
    prove_near,
    wait_for_the_rest,
)
