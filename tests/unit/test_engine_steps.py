"""Single steps of the join, the undo and the removal on members that are made up: what is remembered, asked and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from quorate.core.actions import AddLearner, Promote, Remove, StopMember, WipeData
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.invariants import Limits, UnsafeStep
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView
from quorate.core.outcome import (
    JoinOutcome,
    Kept,
    NotUndone,
    Undone,
    VoteUnknown,
    is_unknown,
)
from quorate.errors import HostError, Refused
from quorate.etcd.client.errors import AnswerLost, TooManyLearners
from quorate.etcd.client.metrics import parse
from quorate.etcd.membership.executor import MembershipExecutor
from quorate.etcd.membership.join import Join
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.etcd.membership.runtime import JoinSpec, Process, Runtime
from quorate.etcd.membership.undo import Undo
from quorate.foreign.text import OUR_FLAGS
from quorate.member.checks import Case, check_settings
from quorate.member.spec import EtcdSpec
from quorate.report import Event
from unit.fakes import FakeAccess, FakeClock, Server, cluster, row, where
from unit.views import CLUSTER, member, url, view

OURS = JoinMemory(member_id=9, ours=True, listed=True)
LEARNER = member(9, learner=True)
LIMITS = Limits(CLUSTER)


@dataclass
class FakeRuntime:
    """A joiner on this host; `log` holds what was done to it."""

    log: list[str] = field(default_factory=list[str])
    running: bool = True
    can_restart: bool = True
    can_wipe: bool = True
    data: bool = True

    def process(self) -> Process:
        return Process("running" if self.running else "absent")

    def start(self, _initial_cluster: Sequence[tuple[str, str]]) -> None:
        self.log.append("start")
        self.running = True

    def stop(self) -> None:
        self.log.append("stop")
        self.running = False

    def has_data(self) -> bool:
        return self.data

    has_leftovers = has_data

    def data_member(self) -> int:
        return 9 if self.data else 0

    def received_bytes(self) -> int | None:
        return None

    def links(self, _peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        return None

    def wipe(self, owner: int | None) -> None:
        assert owner in (0, self.data_member())
        self.log.append("wipe")
        self.data = False


@pytest.fixture
def access() -> Iterator[FakeAccess]:
    """One voter and a learner, whose removal works."""
    with FakeAccess(cluster(1, 9)) as found:
        leader = found.places[where(1)]

        def remove(_request: object) -> object:
            leader.members.pop()
            return leader._MemberRemove(None)  # type: ignore[arg-type]

        leader.replies["MemberRemove"] = remove
        yield found


def undo_of(access: FakeAccess, runtime: FakeRuntime, memory: JoinMemory = OURS) -> Undo:
    executor = MembershipExecutor(access, FakeClock(), lambda _kind, _fields: None)
    spec = JoinSpec("m9", url(9), where(9), None)
    return Undo(executor, cast("Runtime", runtime), [where(1)], LIMITS, spec, lambda _event: None, memory, lambda: None)


def undone(access: FakeAccess, memory: JoinMemory = OURS) -> tuple[JoinOutcome, list[str]]:
    runtime = FakeRuntime()
    return undo_of(access, runtime, memory).run(), runtime.log


def test_an_undo_removes_then_stops_then_deletes(access: FakeAccess) -> None:
    outcome, done = undone(access)
    assert outcome == Undone("m9", 9, "deleted") and done == ["stop", "wipe"]
    assert "MemberRemove" in access.places[where(1)].asked


@pytest.mark.parametrize(
    ("memory", "said"),
    [(JoinMemory(), "nothing was registered yet"), (OURS, "rolling back the incomplete join")],
)
def test_an_undo_says_what_there_is_to_roll_back(access: FakeAccess, memory: JoinMemory, said: str) -> None:
    """A join that never got a seat has nothing to roll back."""
    told: list[object] = []
    undo = undo_of(access, FakeRuntime(), memory)
    undo.report = told.append
    undo.run()
    assert told[0] == Event("undo", "m9", said)


def test_an_undo_waits_while_it_cannot_be_read_whose_data_is_here(access: FakeAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    """An etcd that begins has a database a few milliseconds before its log: its learner was removed, and its data stayed."""
    runtime, looks = FakeRuntime(), iter([False, False])

    def data_member() -> int:
        if next(looks, True):
            return 9 if runtime.data else 0
        raise Refused("cannot be read")

    monkeypatch.setattr(runtime, "data_member", data_member)
    assert undo_of(access, runtime).run() == Undone("m9", 9, "deleted") and runtime.log == ["stop", "wipe"]


def test_an_undo_that_cannot_read_whose_data_is_here_names_the_command_that_removes_the_learner(
    access: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join of an older version with --wal-dir: no run can ever read it, and "run the same command again" went on for ever."""
    runtime = FakeRuntime()

    def data_member() -> int:
        raise Refused("its log is elsewhere")

    monkeypatch.setattr(runtime, "data_member", data_member)
    token = OUR_FLAGS.set(("--endpoints=a:1",))
    try:
        outcome = undo_of(access, runtime).run()
    finally:
        OUR_FLAGS.reset(token)
    assert isinstance(outcome, NotUndone) and outcome.member_id == 9 and runtime.log == []
    assert "stop its etcd, then quorate etcd --endpoints=a:1 remove 9 removes the learner" in outcome.why


def test_the_learner_of_an_earlier_run_with_a_log_elsewhere_is_named() -> None:
    spec = EtcdSpec("m9", Path("/etcd"), Path("/data"), url(9), url(8), extra=(("wal-dir", "/wal"),))
    (begun,) = check_settings(Case(spec, view(1, member(9, learner=True)), resumed=True))
    assert begun.level == "error" and "quorate etcd remove 9 removes the learner" in begun.advice
    (fresh,) = check_settings(Case(spec, view(1), resumed=False))
    assert "remove" not in fresh.advice


def test_an_undo_asks_nothing_of_the_member_that_it_removes(access: FakeAccess) -> None:
    """A Status in flight while a member applies its own removal makes it panic."""
    access.routes.answered(where(9), 9, "3.6.16", is_learner=True, seconds=0.0)
    undone(access)
    assert access.places[where(9)].asked == []


def test_an_undo_stops_nothing_while_the_removal_is_not_seen(access: FakeAccess) -> None:
    access.places[where(1)].replies["MemberRemove"] = AnswerLost("x")
    outcome, done = undone(access)
    assert isinstance(outcome, NotUndone) and done == []


def test_an_undo_stops_nothing_while_nobody_leads(access: FakeAccess) -> None:
    access.places[where(1)].cut, access.places[where(1)].leader = True, 0
    runtime = FakeRuntime()
    undo = undo_of(access, runtime)
    assert isinstance(undo._unfinished("x"), NotUndone)
    view_of_a_moment = undo._look()
    assert not view_of_a_moment.linearizable and runtime.log == []


def test_an_undo_of_a_join_that_asked_for_a_vote_leaves_everything(access: FakeAccess) -> None:
    outcome, done = undone(access, replace(OURS, vote="asked"))
    assert isinstance(outcome, VoteUnknown) and done == []
    assert "MemberRemove" not in access.places[where(1)].asked
    assert isinstance(undo_of(access, FakeRuntime(), replace(OURS, vote="asked"))._unfinished("x"), VoteUnknown)


def test_an_undo_keeps_what_it_did_not_add(access: FakeAccess) -> None:
    outcome, done = undone(access, replace(OURS, ours=False))
    assert isinstance(outcome, Kept) and done == []


@pytest.mark.parametrize("action", [StopMember("m9", 9), WipeData("m9", 9)], ids=lambda one: type(one).__name__)
def test_an_undo_checks_a_stop_and_a_deletion_like_a_change(access: FakeAccess, action: StopMember | WipeData) -> None:
    runtime = FakeRuntime()
    for seen in (view(1, LEARNER), replace(view(1), linearizable=False)):
        with pytest.raises(UnsafeStep):
            undo_of(access, runtime)._do(action, seen)
    assert runtime.log == []


def test_an_undo_does_not_remove_who_was_promoted_since_it_looked(access: FakeAccess) -> None:
    leader = access.places[where(1)]
    undo = undo_of(access, FakeRuntime())
    leader.members[1] = row(9)
    with pytest.raises(UnsafeStep):
        undo._do(Remove(9, owned=True), view(1, LEARNER))
    assert "MemberRemove" not in leader.asked


# -- the join ----------------------------------------------------------------------------------------------------------


@dataclass
class Remembering:
    """A join with what it keeps of its memory: in the journal, and for a later run."""

    join: Join
    journal: list[tuple[str, JoinMemory]]
    remembered: list[JoinMemory]


def join_of(access: FakeAccess, *, broken_journal: bool = False) -> Remembering:
    journal: list[tuple[str, JoinMemory]] = []
    remembered: list[JoinMemory] = []

    def note(kind: str, _fields: dict[str, object]) -> None:
        journal.append((kind, join.tracks["m9"].memory))
        if broken_journal:
            raise HostError("the disk is full")

    join = Join(
        access,
        FakeClock(),
        [where(1)],
        [(JoinSpec("m9", url(9), where(9), None), cast("Runtime", FakeRuntime()))],
        LIMITS,
        JoinPolicy(),
        lambda _event: None,
        note,
        lambda _name, memory: remembered.append(memory),
    )
    return Remembering(join, journal, remembered)


def test_a_join_knows_that_a_vote_may_be_asked_for_before_it_writes_that_down(access: FakeAccess) -> None:
    kept = join_of(access, broken_journal=True)
    note = kept.join._noting(kept.join.tracks["m9"])
    with pytest.raises(HostError):
        note("intent", {"do": "promote", "member": "9"})
    assert kept.join.tracks["m9"].memory.vote == "asked"


def test_a_join_tells_later_runs_what_it_asked_for(access: FakeAccess) -> None:
    kept = join_of(access)
    note = kept.join._noting(kept.join.tracks["m9"])
    note("intent", {"do": "promote", "member": "9"})
    assert [memory.vote for memory in kept.remembered] == ["asked"]


def test_a_join_does_not_add_where_somebody_is_listed_at_its_url_by_now(access: FakeAccess) -> None:
    kept = join_of(access)
    old = replace(view(1), taken_at=-1.0)
    why = kept.join._add(AddLearner("m9", (url(9),)), old)
    assert why is not None and "listed at that peer URL meanwhile" in why
    assert "MemberAdd" not in access.places[where(1)].asked


def test_a_join_that_gets_no_answer_to_its_promotion_may_have_a_vote(access: FakeAccess) -> None:
    kept, leader = join_of(access), access.places[where(1)]
    access.metrics, access.heard = parse("etcd_server_is_leader 1\n"), (9,)
    leader.replies["MemberPromote"] = AnswerLost("x")
    promote = Promote(9, "m9", Proof(9, CLUSTER, 3, 100, 100, 0.0, ROUNDS, heard=True))
    assert "no answer to the request yet" in str(kept.join._promote(promote, view(1, LEARNER)))
    assert kept.join.tracks["m9"].memory.vote == "asked"
    leader.replies["MemberPromote"] = TooManyLearners("x")
    kept.join._promote(replace(promote, proof=replace(promote.proof, at=kept.join.clock.now())), later(kept.join))
    assert kept.join.tracks["m9"].memory.vote == "asked", "the first one may still be on its way"


def later(join: Join) -> ClusterView:
    return replace(view(1, LEARNER), taken_at=join.clock.now())


@pytest.mark.parametrize(
    ("memory", "kind"),
    [
        (replace(OURS, vote="asked"), VoteUnknown),
        (JoinMemory(adding=((10, 21),)), NotUndone),
        (OURS, Kept),
        (replace(OURS, vote="given"), Kept),
    ],
    ids=["vote asked for", "add without an answer", "learner", "voter"],
)
def test_a_join_that_keeps_everything_hides_nothing_that_is_unknown(
    access: FakeAccess, memory: JoinMemory, kind: type[JoinOutcome]
) -> None:
    join = join_of(access).join
    join.policy = JoinPolicy(keep_on_failure=True)
    join.tracks["m9"].memory = memory
    outcome = join._undo_one(join.tracks["m9"])
    assert type(outcome) is kind and is_unknown(outcome) is (kind is not Kept)
    assert access.places[where(1)].asked == []


def test_a_join_looks_once_more_when_time_is_up(access: FakeAccess) -> None:
    """This machine stood still while the members went on."""
    join, leader = join_of(access).join, access.places[where(1)]
    access.places.pop(where(9))

    def stand_still(_seconds: float) -> None:
        join.clock.pass_time(1000)  # type: ignore[attr-defined]
        leader.members[1], access.places[where(9)] = row(9), Server(9, leader.members)
        join.tracks["m9"].verified = True

    join.clock.sleep = stand_still  # type: ignore[method-assign,assignment]
    join._reach_goal()
