"""The one place that changes membership: what is written, looked at and sent, in which order, and what an error means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from quorate.core.actions import AddLearner, AddVoter, MembershipChange, Promote, Remove
from quorate.core.catch_up import ROUNDS, SEND_SECONDS, Proof
from quorate.core.invariants import Limits, UnsafeStep
from quorate.core.membership import ClusterView
from quorate.deadline import moment
from quorate.errors import HostError, Interrupted
from quorate.etcd.client import errors
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership.executor import (
    LOOK_SECONDS,
    AddedElsewhere,
    Applied,
    Confirm,
    Confirmed,
    Indeterminate,
    MembershipExecutor,
    NotConfirmed,
    Outcome,
    Rejected,
    channel_for,
    confirm_by_looking,
    confirm_by_proof,
)
from quorate.report import Notice, Recorder
from unit.fakes import FakeAccess, FakeChannel, FakeClock, Server, channel_to, cluster, where
from unit.views import CLUSTER, answer, member, url, view

ADD = AddLearner("m9", (url(9),))
LEARNER = member(9, learner=True)
PROMOTE = Promote(9, "m9", Proof(9, CLUSTER, 3, 100, 100, 0.0, ROUNDS, wall=1_000_000.0, heard=True))
SEEN = view(3)


@dataclass
class Bench:
    """An executor beside one server, with everything that happens in `log`."""

    access: FakeAccess
    clock: FakeClock = field(default_factory=FakeClock)
    server: Server = field(default_factory=lambda: Server(1))
    log: list[str] = field(default_factory=list[str])
    looks: list[float] = field(default_factory=list[float])
    """Seconds that each look takes; the last one for all that follow."""
    broken_journal: str = ""

    def note(self, kind: str, fields: dict[str, object]) -> None:
        self.log.append(f"{kind} {fields['result']}" if kind == "outcome" else kind)
        if kind == self.broken_journal:
            raise HostError("the disk is full")

    def confirm(self, seen: ClusterView = SEEN) -> Confirm:
        def look(action: MembershipChange) -> Confirmed:
            began = moment(self.clock)
            self.log.append("look")
            self.clock.pass_time(self.looks.pop(0) if len(self.looks) > 1 else sum(self.looks))
            return Confirmed(action, seen, channel_to(self.server), began, LOOK_SECONDS)

        return look

    def carry_out(self, action: MembershipChange = ADD, seen: ClusterView = SEEN, confirm: Confirm | None = None) -> Outcome:
        executor = MembershipExecutor(self.access, self.clock, self.note)
        return executor.carry_out(action, seen, Limits(CLUSTER), confirm or self.confirm())


@pytest.fixture
def bench() -> Iterator[Bench]:
    with FakeAccess(cluster(3)) as access:
        yield Bench(access)


def test_the_executor_writes_its_intent_before_the_last_look(bench: Bench) -> None:
    assert bench.carry_out() == Applied(9)
    assert bench.log == ["intent", "look", "outcome applied"]
    assert bench.server.asked == ["MemberAdd"]


def test_the_executor_sends_what_was_decided(bench: Bench) -> None:
    bench.carry_out()
    assert bench.server.calls[0][1].isLearner and list(bench.server.calls[0][1].peerURLs) == [url(9)]
    executor = MembershipExecutor(bench.access, bench.clock, bench.note)
    executor.carry_out(AddVoter("m9", (url(9),)), SEEN, Limits(CLUSTER, voter_join=True), bench.confirm())
    assert not bench.server.calls[1][1].isLearner


def test_the_executor_looks_again_where_the_last_look_took_too_long(bench: Bench) -> None:
    bench.looks = [LOOK_SECONDS + 0.5, 0.0]
    assert bench.carry_out() == Applied(9)
    assert bench.log == ["intent", "look", "look", "outcome applied"]


def test_the_executor_sends_nothing_where_every_look_takes_too_long(bench: Bench) -> None:
    bench.looks = [LOOK_SECONDS + 0.5]
    # The view of the decision is as new as each look: it is the time since then that counts.
    outcome = bench.carry_out(confirm=_always_late(bench))
    assert isinstance(outcome, Rejected) and "was suspended" in outcome.error.what
    assert bench.server.asked == [] and bench.log[-1] == "outcome rejected"


def _always_late(bench: Bench) -> Confirm:
    def look(action: MembershipChange) -> Confirmed:
        began = moment(bench.clock)
        bench.clock.pass_time(LOOK_SECONDS + 0.5)
        return Confirmed(action, replace(SEEN, taken_at=began.now), channel_to(bench.server), began, LOOK_SECONDS)

    return look


def test_the_executor_notices_a_pause_that_only_the_wall_clock_shows(bench: Bench) -> None:
    def look(action: MembershipChange) -> Confirmed:
        began = moment(bench.clock)
        bench.clock.wall_time += 20
        return Confirmed(action, SEEN, channel_to(bench.server), began, LOOK_SECONDS)

    assert isinstance(bench.carry_out(confirm=look), Rejected)
    assert bench.server.asked == []


def test_the_executor_looks_again_behind_a_pause_that_only_the_wall_clock_shows(bench: Bench) -> None:
    paused = [20.0, 0.0]

    def look(action: MembershipChange) -> Confirmed:
        began = moment(bench.clock)
        bench.log.append("look")
        bench.clock.wall_time += paused.pop(0)
        return Confirmed(action, SEEN, channel_to(bench.server), began, LOOK_SECONDS)

    assert bench.carry_out(confirm=look) == Applied(9)
    assert bench.log == ["intent", "look", "look", "outcome applied"]


class Suspended(FakeChannel):
    """The tool is suspended for a while on its way from the last check to grpc, or in the moment of the handover."""

    def __init__(self, bench: Bench, *, before: float = 0.0, during: float = 0.0) -> None:
        super().__init__(where(1), bench.server)
        self.clock, self.before, self.during = bench.clock, before, during

    def before_handover(self) -> None:
        self.clock.pass_time(self.before)

    def in_handover(self) -> None:
        self.clock.pass_time(self.during)

    def confirm(self, action: MembershipChange) -> Confirmed:
        return Confirmed(action, SEEN, cast("Channel", self), moment(self.clock), LOOK_SECONDS)


def test_the_executor_sends_nothing_after_a_suspension_behind_its_last_check(bench: Bench) -> None:
    """A dozen lines lie between that check and grpc: a learner that died meanwhile was promoted."""
    outcome = bench.carry_out(confirm=Suspended(bench, before=20.0).confirm)
    assert isinstance(outcome, Rejected) and "20.0 s passed since the last look" in outcome.error.what
    assert bench.server.asked == [] and bench.log[-1] == "outcome rejected"


def test_the_executor_says_that_a_request_was_begun_late(bench: Bench) -> None:
    """What nothing can prevent is in the outcome, in the journal, and before the operator."""
    said = Recorder()
    noted: list[dict[str, object]] = []
    executor = MembershipExecutor(bench.access, bench.clock, lambda _kind, fields: noted.append(fields), said)
    outcome = executor.carry_out(ADD, SEEN, Limits(CLUSTER), Suspended(bench, during=20.0).confirm)
    assert outcome == Applied(9, late=20.0) and noted[-1]["late"] == 20.0
    assert [message.level for message in said.messages if isinstance(message, Notice)] == ["warning"]


def test_the_executor_checks_what_the_last_look_showed(bench: Bench) -> None:
    """Somebody else may have added a learner while the intent was written."""
    with pytest.raises(UnsafeStep, match="learner seats are taken"):
        bench.carry_out(confirm=bench.confirm(view(3, member(8, learner=True))))
    assert bench.server.asked == []
    assert bench.log[-1] == "outcome rejected", "the record must not say for ever that something may have been sent"


def test_the_executor_checks_before_it_writes_an_intent(bench: Bench) -> None:
    with pytest.raises(UnsafeStep):
        bench.carry_out(seen=view(3, member(8, learner=True)))
    assert bench.log == []


def test_an_outcome_that_cannot_be_written_does_not_fail_the_change(bench: Bench) -> None:
    bench.broken_journal = "outcome"
    assert bench.carry_out() == Applied(9)


def test_an_intent_that_cannot_be_written_is_not_carried_out(bench: Bench) -> None:
    bench.broken_journal = "intent"
    with pytest.raises(HostError):
        bench.carry_out()
    assert bench.server.asked == []


def test_a_last_look_that_fails_for_a_moment_is_a_refusal_and_a_final_one_is_raised(bench: Bench) -> None:
    def failing(error: EtcdError) -> Confirm:
        def look(_action: MembershipChange) -> Confirmed:
            raise error

        return look

    assert isinstance(bench.carry_out(confirm=failing(errors.NoAnswer("x"))), Rejected)
    with pytest.raises(errors.PermissionDenied):
        bench.carry_out(confirm=failing(errors.PermissionDenied("x")))
    assert bench.log[-1] == "outcome rejected"


REFUSED = [
    errors.LearnerNotReady,
    errors.NotEnoughStarted,
    errors.TooManyLearners,
    errors.UnhealthyCluster,
    errors.MemberExists,
    errors.MemberNotFound,
    errors.NotLeader,
    errors.RpcOnLearner,
    errors.Unavailable,
    errors.PermissionDenied,
    errors.TokenExpired,
    errors.LoginFailed,
    errors.AuthOff,
    errors.Unreachable,
    errors.TlsRefused,
]
UNKNOWN = [
    errors.NotALearner,
    errors.AnswerLost,
    errors.ServerTimedOut,
    errors.NoAnswer,
    errors.NoSpace,
    errors.CorruptCluster,
    errors.LeaseNotFound,
    errors.Compacted,
    errors.ProxyAnswers,
    EtcdError,
]


@pytest.mark.parametrize("kind", [*REFUSED, *UNKNOWN], ids=lambda kind: kind.__name__)
def test_only_errors_that_are_listed_are_refusals(bench: Bench, kind: type[EtcdError]) -> None:
    """`NotALearner` is none: who was promoted by an earlier request of ours is no learner any more."""
    bench.server.replies["MemberAdd"] = kind("x")
    outcome = bench.carry_out()
    assert isinstance(outcome, Rejected if kind in REFUSED else Indeterminate)


def test_no_error_of_etcd_is_left_out_above() -> None:
    def below(kind: type[EtcdError]) -> set[type[EtcdError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    known = {kind for kind in below(EtcdError) if kind.__module__ == errors.__name__}
    assert known == {*REFUSED, *UNKNOWN}


def test_a_stop_that_was_asked_for_before_the_change_is_heeded(bench: Bench) -> None:
    """It was acknowledged, and the member was removed all the same: answers that come at once never see a stop."""

    def look(action: MembershipChange) -> Confirmed:
        bench.clock.cancel.request("a stop")
        return Confirmed(action, SEEN, channel_to(bench.server), moment(bench.clock), LOOK_SECONDS)

    with pytest.raises(Interrupted):
        bench.carry_out(confirm=look)
    assert bench.server.asked == [] and bench.log == ["intent", "outcome rejected"]
    with bench.clock.cancel.shielded():
        assert bench.carry_out() == Applied(9), "an undo goes on"


@pytest.mark.parametrize("action", [ADD, AddVoter("m9", (url(9),))])
def test_a_member_that_another_cluster_added_is_removed_there(bench: Bench, action: MembershipChange) -> None:
    """Another cluster was started at this address while the tool was suspended: it kept a learner that nobody knew of."""
    bench.server.cluster = 0xE
    executor = MembershipExecutor(bench.access, bench.clock, bench.note)
    outcome = executor.carry_out(action, SEEN, Limits(CLUSTER, voter_join=True), bench.confirm())
    assert isinstance(outcome, Rejected) and isinstance(outcome.error, AddedElsewhere)
    assert "cluster e answered" in outcome.error.what and "removed again" in outcome.error.what
    assert bench.server.asked == ["MemberAdd", "MemberRemove"] and bench.server.calls[1][1].ID == 9
    bench.server.replies["MemberRemove"] = errors.NoAnswer("no answer")
    outcome = bench.carry_out()
    assert isinstance(outcome, Rejected) and "quorate etcd remove 9" in outcome.error.what


def test_an_add_without_an_answer_is_written_with_the_seconds_of_its_call(bench: Bench) -> None:
    written: list[object] = []
    executor = MembershipExecutor(bench.access, bench.clock, lambda _kind, fields: written.append(fields.get("within")))
    executor.carry_out(ADD, SEEN, Limits(CLUSTER), bench.confirm())
    assert written[0] == [1_000_000, 1_000_001]


# -- the last look -----------------------------------------------------------------------------------------------------


def test_the_age_of_a_look_counts_from_its_beginning(bench: Bench) -> None:
    def look() -> ClusterView:
        bench.clock.pass_time(0.4)
        return SEEN

    last = confirm_by_looking(bench.access, look, bench.clock)(ADD)
    assert (last.at.now, last.within) == (0.0, LOOK_SECONDS)


def proving(proof: Proof | None, server: Server) -> Confirm:
    newest = replace(PROMOTE, proof=proof) if proof else None
    return confirm_by_proof(
        lambda: view(3, LEARNER), lambda _action, _view: (newest, channel_to(server), 0.0) if newest else None
    )


def test_a_promotion_without_a_last_proof_is_not_sent(bench: Bench) -> None:
    outcome = bench.carry_out(PROMOTE, view(3, LEARNER), proving(None, bench.server))
    assert isinstance(outcome, Rejected) and isinstance(outcome.error, NotConfirmed)
    assert bench.server.asked == []


@pytest.mark.parametrize(("age", "sent"), [(SEND_SECONDS - 0.01, True), (SEND_SECONDS + 0.01, False)])
def test_a_promotion_is_sent_within_a_moment_of_its_last_proof(bench: Bench, age: float, sent: bool) -> None:
    """A learner that died five seconds after its proof was promoted (fault H1)."""
    bench.clock.pass_time(age)
    outcome = bench.carry_out(PROMOTE, view(3, LEARNER), proving(PROMOTE.proof, bench.server))
    assert isinstance(outcome, Applied) is sent
    assert bench.server.asked == (["MemberPromote"] if sent else [])


@pytest.mark.parametrize(("way", "more"), [(0.0, 0.0), (0.2, 0.4), (3.0, 1.0)])
def test_the_limit_of_a_promotion_grows_with_twice_the_way_and_by_a_second_at_most(
    bench: Bench, way: float, more: float
) -> None:
    confirm = confirm_by_proof(lambda: view(3, LEARNER), lambda _action, _view: (PROMOTE, channel_to(bench.server), way))
    assert confirm(PROMOTE).within == pytest.approx(SEND_SECONDS + more)


def endpoint(access: FakeAccess, action: MembershipChange, seen: ClusterView) -> object:
    return channel_for(access, action, seen).endpoint


def without_way(number: int, seen: ClusterView) -> ClusterView:
    rows = tuple(replace(one, client_urls=()) if one.id == number else one for one in seen.members)
    return replace(seen, members=rows)


def test_a_change_goes_to_the_leader_and_only_a_removal_through_a_follower(bench: Bench) -> None:
    assert endpoint(bench.access, ADD, SEEN) == where(1)
    unreachable = without_way(1, SEEN)
    with pytest.raises(NotConfirmed):
        channel_for(bench.access, PROMOTE, unreachable)
    with pytest.raises(NotConfirmed):
        channel_for(bench.access, ADD, unreachable)
    assert endpoint(bench.access, Remove(3, named=True), unreachable) == where(2)


def test_a_change_is_not_sent_to_a_leader_that_does_not_answer(bench: Bench) -> None:
    named_by_others = view(3, answers={2: answer(2), 3: answer(3)})
    with pytest.raises(NotConfirmed):
        channel_for(bench.access, ADD, named_by_others)
    assert endpoint(bench.access, Remove(3, named=True), named_by_others) == where(2)


def test_a_removal_never_goes_through_the_member_that_is_removed(bench: Bench) -> None:
    """It would end before it answers."""
    assert endpoint(bench.access, Remove(1, named=True), SEEN) == where(2)
    assert endpoint(bench.access, Remove(2, named=True), without_way(1, SEEN)) == where(3)


def test_an_intent_that_cannot_be_written_is_a_change_that_was_not_sent(bench: Bench) -> None:
    """A journal on a full disk: the run then said that nobody knows whether the member was registered."""
    written: list[object] = []

    def note(kind: str, fields: dict[str, object]) -> None:
        written.append(fields.get("result", kind))
        if kind == "intent":
            raise HostError("no space left on device")

    executor = MembershipExecutor(bench.access, bench.clock, note)
    with pytest.raises(HostError):
        executor.carry_out(AddLearner("m9", (url(9),)), SEEN, Limits(CLUSTER), bench.confirm())
    assert written == ["intent", "rejected"]
