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
from quorate.core.catch_up import Proof
from quorate.core.ids import same_url
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member, MemberStatus, lag_of

RESTART_GRACE_SECONDS = 0.05
"""How long a learner whose snapshot is applied may stay silent before it counts as having lost its publish: one that
did not lose it opens its client port within milliseconds of that moment."""

NEAR_ENTRIES = 1000
"""Above this lag a learner is plainly catching up, and asking it to prove alignment would only add writes."""

NOTHING = JoinMemory()

ProcessState: TypeAlias = Literal["absent", "running", "exited", "failing"]
"""`failing`: it crash-loops under somebody else's supervisor."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """One member that is to become a voter, and what is known of it beside the cluster's own view.

    `memory`: what this join did, and the member id that it is about. `has_data`: its data directory holds a log of etcd's.
    `listed_itself_at` is since when (seconds of the caller's clock) its own peer port lists it with client URLs, which it can
    only know from applied data; None while it does not. `proof` and `verified` are results of `ProveAlignment` and
    `VerifyVoter`. `links_pending`: some of its links to voters are looked for and not up
    yet; it is too early to call them missing. `awaited`: somebody else is to start
    its etcd, and nothing shows yet that it runs. `may_start`: "later" while a process that ended is given
    time, "never" when it has ended too often.
    """

    name: str
    peer_urls: tuple[str, ...]
    process: ProcessState = "absent"
    exit_note: str = ""
    has_data: bool = False
    listed_itself_at: float | None = None
    can_restart: bool = True
    memory: JoinMemory = NOTHING
    links_pending: bool = False
    awaited: bool = False
    may_start: Literal["now", "later", "never"] = "now"
    proof: Proof | None = None
    verified: bool = False


@dataclass(frozen=True, slots=True)
class JoinGoal:
    """The goal: all of `joiners` are verified voters. `learner_seats` and `voter_join` as in `invariants.Limits`."""

    joiners: tuple[Joiner, ...]
    learner_seats: int = 1
    voter_join: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """One joiner seen in one view: what every rule below looks at."""

    view: ClusterView
    goal: JoinGoal
    now: float
    joiner: Joiner

    @property
    def member(self) -> Member | None:
        """By id once one is known: an operator who corrects a peer URL has not made another member of it."""
        member_id = self.joiner.memory.member_id
        return self.view.by_id(member_id) if member_id else self.view.by_peer_urls(self.joiner.peer_urls)

    @property
    def answer(self) -> MemberStatus | None:
        return self.view.answer(self.member.id) if self.member else None

    @property
    def learner(self) -> Member | None:
        return self.member if self.member and self.member.is_learner else None

    @property
    def voter(self) -> Member | None:
        return self.member if self.member and not self.member.is_learner else None


def decide_join(view: ClusterView, goal: JoinGoal, now: float) -> Decision:
    """The next step towards `goal`; `now` is on the clock of `view.taken_at`.

    The law: whatever prefix of the steps was taken when the tool, a member or a network ends, the voters there are keep their
    quorum without the joiner's help. Why it holds: until its promotion a joiner is a learner and counts nowhere, so every
    earlier prefix leaves the quorum as it was; a promotion is decided on a fresh proof that this learner has applied what was
    just written, is linked to the voters, and raises the margin or leaves it (`invariants.margin_not_lowered`), so the quorum
    of the larger cluster is there at the moment of the vote; and after it nothing else changes before the new voter was seen to
    serve. tests/model tries every prefix.

    Rules are tried in order over all joiners, so that a promoted member is verified before the next is promoted, and all
    learners are added before any is started: a joiner whose `--initial-cluster` is shorter than the list will not start.
    """
    cases = [_Case(view, goal, now, joiner) for joiner in goal.joiners]
    sure = view.leader is not None and view.linearizable
    for rule in (*RULES_WITHOUT_LEADER, *(RULES if sure else ())):
        for case in cases:
            decision = rule(case)
            if decision is not None:
                return decision
    if view.leader is None:
        return Wait("catch-up", "", "no member says that it leads: waiting for an election")
    if not sure:
        # One member's own copy of the list may be as old as that member has been cut off.
        return Wait("catch-up", "", "no member list can be read through the quorum: waiting for one")
    return Done()


def start_stopped_voter(case: _Case) -> Decision | None:
    """A joiner that has its vote and stopped may be the very one a leader is missing for: it is started without one.

    Never on an empty directory: a voter that forgot what it acknowledged could let the others lose it. Only in the legacy
    join a voter begins empty, and there only while nobody has seen it run.
    """
    if case.voter is None or case.joiner.process in ("running", "failing") or case.joiner.verified:
        return None
    if case.answer is not None:
        # It answers, so somebody else runs it. A second etcd on its ports would end at once, and its data is not here.
        return None
    if case.voter.started and case.voter.name != case.joiner.name:
        # Not ours to start: it is refused once there is a list to refuse it on.
        return None
    if not case.joiner.has_data and not (case.goal.voter_join and not case.voter.started):
        return Refuse(
            f"{case.joiner.name} is a voter and its data is gone, so it is not started",
            "if it runs elsewhere, see that it answers; if its data is lost, remove it from the member list and join it again",
        )
    return _start(case)


def refuse_wrong_member(case: _Case) -> Decision | None:
    """The peer URL or the name belongs to a member that is not this joiner.

    Going on would take a stranger's member for ours and remove it in an undo: Cluster API removed a learner that was still
    joining because it could not tell whose it was (cluster-api#14197), and Talos one of the same hostname (talos#3715). Two
    members of one name cannot be told apart in --initial-cluster.
    """
    same_name = case.view.by_name(case.joiner.name)
    known, listed = case.joiner.memory.member_id, case.member
    if known and listed is None:
        # An id that is gone never returns. Adding the URL again would undo what somebody else decided.
        other = case.view.by_peer_urls(case.joiner.peer_urls)
        there = f"; {other.id:x} is listed at its peer URL now" if other else ""
        return Refuse(f"somebody removed {case.joiner.name} ({known:x}) from the member list{there}")
    if same_name and same_name != listed and not _shares_url(same_name, case.joiner):
        return Refuse(
            f"a member named {case.joiner.name} is already there, at {', '.join(same_name.peer_urls)}",
            "choose another name, or remove that member first",
        )
    if listed and listed.started and listed.name != case.joiner.name:
        return Refuse(f"the peer URL {case.joiner.peer_urls[0]} belongs to the member {listed.name}")
    return None


def _shares_url(member: Member, joiner: Joiner) -> bool:
    return any(same_url(one, other) for one in member.peer_urls for other in joiner.peer_urls)


def refuse_exited(case: _Case) -> Decision | None:
    """Its process ended by itself: it will not catch up, and waiting for the whole limit would say nothing of why. What ends
    an etcd at its start (a list that does not fit, data of another cluster, a flag) ends it each time. A voter's process is the
    runtime's to restart."""
    words = {"exited": "ended during its join", "failing": "cannot start"}.get(case.joiner.process)
    return Refuse(f"the etcd of {case.joiner.name} {words}: {case.joiner.exit_note}") if case.learner and words else None


def refuse_failing_voter(case: _Case) -> Decision | None:
    """The voter crash-loops. Only an operator can fix its cause, with or without a leader."""
    if case.voter is None or case.joiner.process != "failing" or case.joiner.verified:
        return None
    return Refuse(
        f"the etcd of {case.joiner.name}, a voter, cannot start: {case.joiner.exit_note}",
        "mend what it complains of, and see it run; then run the same command again",
    )


def verify_promoted(case: _Case) -> Decision | None:
    """A new voter is verified before anything else changes: from the promotion on the quorum is larger, and only its first
    answer shows that its vote can be given. A second promotion in between could leave two votes that nobody reaches. A member
    of 3.5 was listed as a voter and went on as a learner (etcd#18347): only itself can say."""
    if case.voter is None or case.joiner.verified:
        return None
    if case.answer is None:
        return Wait("verify", case.joiner.name, "it has a vote now; waiting for it to answer")
    return Do(VerifyVoter(case.joiner.name, case.voter.id))


def add_missing(case: _Case) -> Decision | None:
    """Registered first, started afterwards: an etcd that is started before its row is there ends, or founds a cluster of its
    own (k0s#5149). While the seat is taken nothing is asked: etcd would refuse it, and before 3.6 there is one seat, for ever,
    also for a learner that is dead (k3s#2306)."""
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
    """Its process compares the member list with its `--initial-cluster` just now: a new row would make it give up with "member
    count is unequal". etcd-operator lost about a third of its failure tests to lists that had changed (etcd-operator#1969)."""
    return bool(case.learner and not case.learner.started and case.joiner.process == "running")


def _wait_for_seat(case: _Case) -> Decision | None:
    """Learners that this goal brings along make room by themselves; a foreign one is waited for by name."""
    members = {other.member.id for other in [case, *_others(case)] if other.member}
    foreign = [learner for learner in case.view.learners if learner.id not in members]
    if not foreign:
        return None
    names = ", ".join(f"{learner.name or 'an unstarted learner'} ({learner.id:x})" for learner in foreign)
    return Wait("add", case.joiner.name, f"the learner seat is taken by {names}: waiting for it to be promoted or removed")


def start_absent(case: _Case) -> Decision | None:
    """Not where it answers already: then somebody else runs it, and a second etcd on its ports would end at once."""
    if case.learner is None or case.joiner.process != "absent" or case.answer is not None:
        return None
    return _start(case)


def _start(case: _Case) -> Decision:
    if case.joiner.may_start == "never":
        return Refuse(
            f"the etcd of {case.joiner.name} ends again and again: {case.joiner.exit_note}",
            "repair what it complains of, then run the same command again",
        )
    if case.joiner.may_start == "later":
        # Without a pause a member whose port is taken was started 54 times in ten seconds.
        return Wait("start", case.joiner.name, f"its etcd ended ({case.joiner.exit_note}); starting it again in a moment")
    return Do(StartMember(case.joiner.name, initial_cluster(case.view, case.goal)))


def initial_cluster(view: ClusterView, goal: JoinGoal) -> tuple[tuple[str, str], ...]:
    """(name, peer URL) of every member in the list just read; etcd compares the URLs and wants the names unique."""
    names = {url: joiner.name for joiner in goal.joiners for url in joiner.peer_urls}
    rows: list[tuple[str, str]] = []
    for member in view.members:
        given = (name for url, name in names.items() if any(same_url(url, one) for one in member.peer_urls))
        name = member.name or next(given, f"unstarted-{member.id:x}")
        rows += [(name, url) for url in member.peer_urls]
    return tuple(rows)


def restart_lost_publish(case: _Case) -> Decision | None:
    """Its data is there, it says so on its peer port, and its client port answers nothing: it waits for a publish that
    went by inside the snapshot, and without help it does so for seven seconds from etcd 3.6 on (docs/lost-publish.md). One
    graceful restart ends that wait; it has no vote, so nothing is at risk. Only one: an etcd that needs a second is ill."""
    joiner, learner = case.joiner, case.learner
    if learner is None or case.answer is not None or joiner.listed_itself_at is None:
        return None
    if not joiner.can_restart or joiner.memory.restarted or joiner.process != "running":
        return None
    if case.now - joiner.listed_itself_at < RESTART_GRACE_SECONDS:
        return None
    return Do(RestartLearner(joiner.name, learner.id))


def wait_for_links(case: _Case) -> Decision | None:
    """A voter that the others cannot reach adds to the quorum and not to those who reach it."""
    if case.learner is None or not case.joiner.links_pending:
        return None
    return Wait("catch-up", case.joiner.name, "it has the data; waiting until its links to the other voters are up")


def promote_proven(case: _Case) -> Decision | None:
    """On our proof, not on etcd's check. etcd passes a learner whose log has 90 % of the leader's index, counted from the
    cluster's first entry, alive or not: one that had been killed was promoted on 3.4.23 and 3.5.1, and all writes stopped. It
    even promoted one that was never started (etcd#14925). The proof is made once more within the call (`executor`)."""
    if case.learner is None or case.joiner.proof is None or case.answer is None:
        return None
    if not case.joiner.proof.holds(member_id=case.learner.id, cluster_id=case.view.cluster_id, now=case.now):
        return None
    return Do(Promote(case.learner.id, case.joiner.name, case.joiner.proof))


def prove_near(case: _Case) -> Decision | None:
    """A proof writes a key through the leader and waits for the learner to apply it. A learner that is far behind cannot pass
    it, and each try costs everybody two writes."""
    if case.learner is None or case.answer is None or lag_of(case.view, case.learner) > NEAR_ENTRIES:
        return None
    return Do(ProveAlignment(case.joiner.name, case.learner.id))


def wait_for_the_rest(case: _Case) -> Decision | None:
    """Says where an unfinished joiner is. The last rule: that it says nothing for all of them is what makes a join done."""
    if case.joiner.verified and case.voter is not None:
        return None
    if case.learner is None:
        return Wait("add", case.joiner.name, "waiting for its turn")
    if case.joiner.process == "running" and case.answer is None:
        return _wait_for_its_answer(case.joiner)
    return Wait("catch-up", case.joiner.name, f"{lag_of(case.view, case.learner)} entries behind")


def _wait_for_its_answer(joiner: Joiner) -> Wait:
    if joiner.awaited:
        return Wait("start", joiner.name, "waiting for its etcd to be started on its machine")
    if joiner.listed_itself_at is None:
        return Wait("catch-up", joiner.name, "receiving the data")
    hint = "" if joiner.can_restart else " (7 s on etcd 3.6 and newer; --restart CMD spares them)"
    return Wait("catch-up", joiner.name, f"its data is there; waiting for it to answer clients{hint}")


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
    wait_for_links,
    promote_proven,
    prove_near,
    wait_for_the_rest,
)
