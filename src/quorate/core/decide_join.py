"""Decides the next step to make joiners voters: one pure function from an observation to one step.

Level-triggered: it looks only at what is there, never at what was done before. So a crash needs no special path, and a
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
from quorate.core.catch_up import NEAR_ENTRIES, Proof
from quorate.core.ids import same_url
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member, MemberStatus, lag_of

RESTART_GRACE_SECONDS = 0.05
"""How long, in seconds, a learner whose snapshot is applied may stay silent before it counts as having lost its publish. One
that did not lose it opens its client port within milliseconds of that moment."""

NOTHING = JoinMemory()

FedBy: TypeAlias = Literal["snapshot", "log", "unknown"]
"""How the leader gave a learner its data. A publish is lost only inside a snapshot."""

ProcessState: TypeAlias = Literal["absent", "running", "exited", "failing"]
"""`failing`: it crash-loops under a supervisor that is not ours."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """One member that is to become a voter, and what is known of it besides the view of the cluster.

    `memory`: what this join did, and to which member id. `has_data`: its data directory holds a write-ahead log of etcd.
    `listed_itself_at`: since when (seconds of the caller's clock) its own peer port lists it with client URLs, which it can
    only know from applied data; None while it does not. `fed_by`: by what. `proof` and `verified`: the results of
    `ProveAlignment` and `VerifyVoter`. `links_pending`: some of its links to voters are not up yet, and it is too early to call
    them missing. `awaited`: what is waited for, in words, while another party must start its etcd and nothing shows yet that it
    runs; empty otherwise. `may_start`: "later" during the pause after its process ended, "never" when the process has ended too
    often.
    """

    name: str
    peer_urls: tuple[str, ...]
    process: ProcessState = "absent"
    exit_note: str = ""
    has_data: bool = False
    listed_itself_at: float | None = None
    fed_by: FedBy = "unknown"
    can_restart: bool = True
    memory: JoinMemory = NOTHING
    links_pending: bool = False
    awaited: str = ""
    may_start: Literal["now", "later", "never"] = "now"
    proof: Proof | None = None
    verified: bool = False


@dataclass(frozen=True, slots=True)
class JoinGoal:
    """The goal: all of `joiners` are verified voters or, where they are standbys, learners that are proved to be aligned.
    `learner_seats` and `voter_join` as in `invariants.Limits`."""

    joiners: tuple[Joiner, ...]
    learner_seats: int = 1
    voter_join: bool = False
    ends_as: Literal["voter", "standby"] = "voter"


@dataclass(frozen=True, slots=True)
class _Case:
    """One joiner in one view: the input of every rule below."""

    view: ClusterView
    goal: JoinGoal
    now: float
    joiner: Joiner

    @property
    def member(self) -> Member | None:
        """Returns the joiner's member, by id once one is known: a member whose peer URL was corrected is still the same."""
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

    @property
    def stays(self) -> bool:
        """Whether it is a standby that has all data: it gets no vote from this join."""
        proof, learner = self.joiner.proof, self.learner
        if self.goal.ends_as != "standby" or proof is None or learner is None:
            return False
        return proof.holds(member_id=learner.id, cluster_id=self.view.cluster_id, now=self.now)


def decide_join(view: ClusterView, goal: JoinGoal, now: float) -> Decision:
    """Returns the next step towards `goal`; `now` is on the clock of `view.taken_at`.

    The law: whatever prefix of the steps was taken when the tool, a member or a network fails, the present voters keep their
    quorum without the joiner's help. Why it holds: until its promotion a joiner is a learner and counts nowhere, so every
    earlier prefix leaves the quorum as it was. A promotion needs a fresh proof that this learner has applied what was just
    written and is linked to the voters, and it must raise the margin or leave it (`invariants.margin_not_lowered`). So the
    larger cluster has its quorum at the moment of the vote. After it nothing else changes until the new voter was seen to
    serve. tests/model tries every prefix.

    Rules are tried in order over all joiners. So a promoted member is verified before the next is promoted, and all learners
    are added before any is started: a joiner whose `--initial-cluster` is shorter than the list does not start.
    """
    cases = [_Case(view, goal, now, joiner) for joiner in goal.joiners]
    sure = view.leader is not None and view.linearizable
    for rule in (*RULES_WITHOUT_LEADER, *(RULES if sure else ())):
        for case in cases:
            decision = rule(case)
            if decision is not None:
                return decision
    if view.leader is None:
        return Wait("catch-up", "", "no member reports that it leads: waiting for an election")
    if not sure:
        # One member's own copy of the list may be as old as that member has been cut off.
        return Wait("catch-up", "", "no member list can be read through the quorum: waiting for one")
    return Done()


def start_stopped_voter(case: _Case) -> Decision | None:
    """Starts a joiner that has its vote and stopped, even without a leader: its vote may be the one that an election needs.

    Never on an empty directory: a voter that forgot what it acknowledged could let the others lose it. Only in the legacy
    join does a voter begin empty, and only until it was first seen to run.
    """
    if case.voter is None or case.joiner.process in ("running", "failing") or case.joiner.verified:
        return None
    if case.answer is not None:
        # It answers, so another supervisor runs it. A second etcd on its ports would exit at once, and its data is not here.
        return None
    if case.voter.started and case.voter.name != case.joiner.name:
        # Not ours to start: `refuse_wrong_member` refuses it once there is a leader and a linearizable list.
        return None
    if not case.joiner.has_data and not (case.goal.voter_join and not case.voter.started):
        return Refuse(
            f"{case.joiner.name} is a voter and its data is gone, so its etcd is not started",
            "if it runs elsewhere, make sure that it answers; if its data is lost, remove the member and join it again",
        )
    return _start(case)


def refuse_wrong_member(case: _Case) -> Decision | None:
    """Refuses when the peer URL or the name belongs to a member that is not this joiner.

    Continuing would treat a foreign member as ours and remove it in an undo: Cluster API removed a learner that was still
    joining because it did not know its owner (cluster-api#14197), and Talos removed one of the same hostname (talos#3715).
    --initial-cluster cannot distinguish two members of one name.
    """
    same_name = case.view.by_name(case.joiner.name)
    known, listed = case.joiner.memory.member_id, case.member
    if known and listed is None:
        # An id that is gone never returns. Adding the URL again would undo another operator's decision.
        other = case.view.by_peer_urls(case.joiner.peer_urls)
        there = f"; {other.id:x} is listed at its peer URL now" if other else ""
        return Refuse(f"another tool or operator removed {case.joiner.name} ({known:x}) from the member list{there}")
    if same_name and same_name != listed and not _shares_url(same_name, case.joiner):
        return Refuse(
            f"a member named {case.joiner.name} already exists, at {', '.join(same_name.peer_urls)}",
            "choose another name; only a member that is gone for good may be removed first",
        )
    if listed and listed.started and listed.name != case.joiner.name:
        return Refuse(f"the peer URL {case.joiner.peer_urls[0]} belongs to the member {listed.name}")
    return None


def _shares_url(member: Member, joiner: Joiner) -> bool:
    return any(same_url(one, other) for one in member.peer_urls for other in joiner.peer_urls)


def refuse_exited(case: _Case) -> Decision | None:
    """Refuses a learner whose process ended by itself: it will not catch up, and waiting for the whole limit would hide the
    reason. What ends an etcd at its start (a list that does not match, data of another cluster, a flag) ends it each time. A
    voter's process is restarted by its runtime."""
    words = {"exited": "ended during its join", "failing": "cannot start"}.get(case.joiner.process)
    return Refuse(f"the etcd of {case.joiner.name} {words}: {case.joiner.exit_note}") if case.learner and words else None


def refuse_failing_voter(case: _Case) -> Decision | None:
    """Refuses a voter that crash-loops. Only an operator can fix its cause, with or without a leader."""
    if case.voter is None or case.joiner.process != "failing" or case.joiner.verified:
        return None
    return Refuse(
        f"the etcd of {case.joiner.name}, a voter, cannot start: {case.joiner.exit_note}",
        "fix that cause and make sure that its etcd runs, then run the same command again",
    )


def refuse_voter_as_standby(case: _Case) -> Decision | None:
    """Refuses a standby that has a vote: somebody promoted it, and its vote is not revoked for a mark."""
    if case.goal.ends_as != "standby" or case.voter is None:
        return None
    return Refuse(f"{case.joiner.name} has a vote already: it is no standby")


def verify_promoted(case: _Case) -> Decision | None:
    """Verifies a new voter before anything else changes: after the promotion the quorum is larger, and only the voter's first
    answer shows that its vote is available. A second promotion in between could leave two votes that no leader reaches. A
    member of 3.5 was listed as a voter and still ran as a learner (etcd#18347): only the member itself can tell."""
    if case.voter is None or case.joiner.verified:
        return None
    if case.answer is None:
        return Wait("verify", case.joiner.name, "it has a vote now; waiting for it to answer")
    return Do(VerifyVoter(case.joiner.name, case.voter.id))


def add_missing(case: _Case) -> Decision | None:
    """Registers the joiner before it is started: an etcd that starts before it is listed exits, or founds a separate cluster
    (k0s#5149). While the seat is taken no add is sent: etcd would refuse it. Before 3.6 there is one seat, and a dead learner
    keeps it for ever (k3s#2306)."""
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
    """Returns whether its process now compares the member list with its `--initial-cluster`: a new row would make it exit with
    "member count is unequal". etcd-operator lost about a third of its failure tests to changed lists (etcd-operator#1969)."""
    return bool(case.learner and not case.learner.started and case.joiner.process == "running")


def _wait_for_seat(case: _Case) -> Decision | None:
    """Waits for a foreign learner that holds the seat, and names it; learners of this goal free their seats by themselves."""
    members = {other.member.id for other in [case, *_others(case)] if other.member}
    foreign = [learner for learner in case.view.learners if learner.id not in members]
    if not foreign:
        return None
    names = ", ".join(f"{learner.name or 'an unstarted learner'} ({learner.id:x})" for learner in foreign)
    return Wait("add", case.joiner.name, f"the learner seat is taken by {names}: waiting for it to be promoted or removed")


def start_absent(case: _Case) -> Decision | None:
    """Starts a learner whose process is absent. If it answers, another supervisor runs it: a second etcd would exit at once."""
    if case.learner is None or case.joiner.process != "absent" or case.answer is not None:
        return None
    if any(_is_starting(other) for other in _others(case)):
        return None
    return _start(case)


def _is_starting(case: _Case) -> bool:
    """Its etcd runs and has applied nothing yet. A new etcd asks every peer whether a downgrade is under way, and the peer
    reads that through the leader. One that no leader has reached leaves the question open for etcd's request timeout, seven
    seconds: two members that were started in the same instant asked each other, and a join of half a second took seven to
    fourteen. So the next one starts when this one is seen to be fed, which costs 0.05 s (docs/lost-publish.md)."""
    joiner = case.joiner
    return case.learner is not None and joiner.process == "running" and case.answer is None and joiner.listed_itself_at is None


def _start(case: _Case) -> Decision:
    if case.joiner.may_start == "never":
        return Refuse(
            f"the etcd of {case.joiner.name} exits repeatedly: {case.joiner.exit_note}",
            "fix that cause, then run the same command again",
        )
    if case.joiner.may_start == "later":
        # Without a pause a member whose port is taken was started 54 times in ten seconds.
        return Wait("start", case.joiner.name, f"its etcd exited ({case.joiner.exit_note}); starting it again in a moment")
    return Do(StartMember(case.joiner.name, initial_cluster(case.view, case.goal)))


def initial_cluster(view: ClusterView, goal: JoinGoal) -> tuple[tuple[str, str], ...]:
    """Returns (name, peer URL) of every member in the list just read; etcd compares the URLs and requires unique names."""
    names = {url: joiner.name for joiner in goal.joiners for url in joiner.peer_urls}
    rows: list[tuple[str, str]] = []
    for member in view.members:
        given = (name for url, name in names.items() if any(same_url(url, one) for one in member.peer_urls))
        name = member.name or next(given, f"unstarted-{member.id:x}")
        rows += [(name, url) for url in member.peer_urls]
    return tuple(rows)


def restart_lost_publish(case: _Case) -> Decision | None:
    """Restarts a learner that has its data, as its peer port shows, but does not answer on its client port. It waits for a
    publish that arrived inside the snapshot, for seven seconds from etcd 3.6 on (docs/lost-publish.md). One graceful restart
    ends that wait; the learner has no vote, so nothing is at risk. Only one: an etcd that needs a second has another fault. One
    that was fed from the log has lost nothing: on a busy machine it needs longer to open its port, and a restart only costs."""
    joiner, learner = case.joiner, case.learner
    if learner is None or case.answer is not None or joiner.listed_itself_at is None or joiner.fed_by == "log":
        return None
    if not joiner.can_restart or joiner.memory.restarted or joiner.process != "running":
        return None
    if case.now - joiner.listed_itself_at < RESTART_GRACE_SECONDS:
        return None
    return Do(RestartLearner(joiner.name, learner.id))


def wait_for_links(case: _Case) -> Decision | None:
    """Waits for the learner's links: a voter that the others cannot reach raises the quorum but adds no vote to theirs."""
    if case.learner is None or not case.joiner.links_pending:
        return None
    return Wait("catch-up", case.joiner.name, "it has the data; waiting until its links to the other voters are up")


def promote_proven(case: _Case) -> Decision | None:
    """Promotes on our proof, not on etcd's check. etcd passes a learner whose log has 90 % of the leader's index, counted from
    the cluster's first entry, alive or not: a killed learner was promoted on 3.4.23 and 3.5.1, and all writes stopped. etcd
    even promoted one that was never started (etcd#14925). The executor makes the proof once more within the call."""
    if case.learner is None or case.joiner.proof is None or case.answer is None or case.goal.ends_as == "standby":
        return None
    if not case.joiner.proof.holds(member_id=case.learner.id, cluster_id=case.view.cluster_id, now=case.now):
        return None
    return Do(Promote(case.learner.id, case.joiner.name, case.joiner.proof))


def prove_near(case: _Case) -> Decision | None:
    """Proves the alignment of a learner that is near. A proof writes a key through the leader and waits for the learner to
    apply it. A learner that is far behind cannot pass, and each try costs every member two writes."""
    if case.learner is None or case.answer is None or lag_of(case.view, case.learner) > NEAR_ENTRIES or case.stays:
        return None
    return Do(ProveAlignment(case.joiner.name, case.learner.id))


def wait_for_the_rest(case: _Case) -> Decision | None:
    """Returns what an unfinished joiner waits for. The last rule: when it returns None for every joiner, the join is done."""
    if case.stays or (case.joiner.verified and case.voter is not None):
        return None
    if case.learner is None:
        return Wait("add", case.joiner.name, "waiting for its turn")
    if case.joiner.process == "running" and case.answer is None:
        return _wait_for_its_answer(case.joiner)
    return Wait("catch-up", case.joiner.name, f"{lag_of(case.view, case.learner)} entries behind")


def _wait_for_its_answer(joiner: Joiner) -> Wait:
    if joiner.awaited:
        return Wait("start", joiner.name, joiner.awaited)
    if joiner.listed_itself_at is None:
        return Wait("catch-up", joiner.name, "receiving the data")
    hint = "" if joiner.can_restart else " (7 s on etcd 3.6 and newer; --restart CMD avoids them)"
    return Wait("catch-up", joiner.name, f"it has the data; waiting for it to answer clients{hint}")


RULES_WITHOUT_LEADER: tuple[Callable[[_Case], Decision | None], ...] = (
    start_stopped_voter,
    refuse_failing_voter,
)
RULES: tuple[Callable[[_Case], Decision | None], ...] = (
    refuse_wrong_member,
    refuse_exited,
    refuse_voter_as_standby,
    verify_promoted,
    add_missing,
    start_absent,
    restart_lost_publish,
    wait_for_links,
    promote_proven,
    prove_near,
    wait_for_the_rest,
)
