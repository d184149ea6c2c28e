"""Who may lead next, and which links must be known to work before the leader goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations, count, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import invariants
from quorate.core.actions import Do, MoveLeader, Refuse, Remove
from quorate.core.decide_remove import RemoveGoal, decide_remove
from quorate.core.heirs import heirs, sure_margin
from quorate.core.invariants import Limits, Step, UnsafeStep, violations
from quorate.core.links import Links, pair
from quorate.core.membership import ClusterView
from quorate.errors import OutcomeUnknown, QuorateError, Refused
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.errors import AnswerLost, ServerTimedOut, Unreachable
from quorate.etcd.client.metrics import Metrics, parse
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.leadership import LeaderStays
from quorate.etcd.membership.removal_judge import RemovalJudge, RemovePolicy
from quorate.etcd.observation.absence_watch import AbsenceKeeper
from quorate.etcd.observation.heartbeats import PERIOD_SECONDS
from quorate.etcd.observation.link_counters import PATIENCE_SECONDS
from quorate.etcd.observation.voter_links import VoterLinks
from unit.fakes import FakeAccess, FakeClock, cluster, where
from unit.views import CLUSTER, answer, view


def linked(seen: ClusterView, up: tuple[tuple[int, int], ...] = (), down: tuple[tuple[int, int], ...] = ()) -> ClusterView:
    return replace(seen, links=Links(frozenset(pair(*one) for one in up), frozenset(pair(*one) for one in down)))


def broken(seen: ClusterView, action: MoveLeader | Remove, *, accept: bool = False) -> dict[str, str]:
    return dict(violations(Step(seen, action, Limits(CLUSTER, accept_reduced_tolerance=accept), 0.0)))


STAR = linked(view(4), down=((2, 3), (2, 4), (3, 4)))
OFF = "leadership_keeps_a_quorum"


def test_no_follower_of_a_star_takes_over() -> None:
    decision = decide_remove(STAR, RemoveGoal(1, "m1"))
    assert isinstance(decision, Refuse) and "no link works between m2-m3, m2-m4, m3-m4" in decision.why
    for accept in (False, True):
        assert OFF in broken(STAR, MoveLeader(2, leaving=1), accept=accept)
        assert "no link works between m2-m3" in broken(STAR, Remove(1, named=True), accept=accept)["margin_not_lowered"]


def test_the_voter_with_most_links_that_are_known_takes_over() -> None:
    seen = linked(view(4), up=((2, 4), (3, 4)), down=((2, 3),))
    assert decide_remove(seen, RemoveGoal(1, "m1")) == Do(MoveLeader(4, leaving=1))
    assert heirs(seen, 1, tried=[4]) == [2, 3], "each reaches one other: a majority of three"
    assert not broken(seen, MoveLeader(4, leaving=1)) and not broken(seen, MoveLeader(2, leaving=1), accept=True)


def test_a_voter_that_is_far_behind_takes_over_from_nobody() -> None:
    """It is linked to both others; each of these reaches it alone."""
    seen = linked(view(4), up=((2, 3), (2, 4)), down=((3, 4),))
    behind = replace(seen, replies={one: answer(one, commit=100 if one == 2 else 5000) for one in range(1, 5)})
    assert decide_remove(behind, RemoveGoal(1, "m1")) == Do(MoveLeader(3, leaving=1))


def test_links_that_nobody_looked_at_carry_no_leader_without_consent() -> None:
    assert "are known to work" in broken(view(4), Remove(1, named=True))["margin_not_lowered"]
    assert "is not known to work" in broken(view(4), MoveLeader(2, leaving=1))[OFF]
    assert not broken(view(4), MoveLeader(2, leaving=1), accept=True)
    assert not broken(view(4), Remove(1, named=True), accept=True)
    known = linked(view(4), up=((2, 3), (2, 4), (3, 4)))
    assert not broken(known, MoveLeader(2, leaving=1)) and not broken(known, Remove(1, named=True))


def test_a_removal_of_a_follower_needs_no_links_of_others() -> None:
    assert not broken(view(4), Remove(4, named=True))


def test_leadership_moves_to_no_voter_that_does_not_follow_or_lags() -> None:
    without_leader = view(3, answers={1: answer(1), 2: answer(2, leader=0), 3: answer(3)})
    assert "does not follow" in broken(without_leader, MoveLeader(2))[OFF]
    assert "does not answer" in broken(view(3, answers={1: answer(1), 3: answer(3)}), MoveLeader(2))[OFF]
    behind = view(3, answers={1: answer(1, commit=5000), 2: answer(2), 3: answer(3, commit=5000)})
    assert "too far behind" in broken(behind, MoveLeader(2))[OFF]
    assert "not a voter" in broken(view(3), MoveLeader(8))[OFF]


def test_in_five_voters_the_link_to_the_leader_alone_is_no_majority() -> None:
    assert "m3, m4, m5" in broken(view(5), MoveLeader(2))[OFF]
    assert not broken(linked(view(5), up=((2, 5),)), MoveLeader(2))


pairs = [(one, other) for one, other in combinations(range(2, 6), 2)]


@given(st.lists(st.sampled_from(["up", "down", "unknown"]), min_size=len(pairs), max_size=len(pairs)))
def test_whoever_may_lead_without_the_leader_reaches_a_majority_of_those_that_stay(states: list[str]) -> None:
    """The law: no transfer before a removal leads to fewer than three of four, consent or not, on links that do not work."""
    up = tuple(link for link, state in zip(pairs, states, strict=True) if state == "up")
    down = tuple(link for link, state in zip(pairs, states, strict=True) if state == "down")
    seen = linked(view(5), up, down)
    for heir in (2, 3, 4, 5):
        known = sum(heir in link for link in up)
        possible = 3 - sum(heir in link for link in down)
        assert (OFF not in broken(seen, MoveLeader(heir, leaving=1))) == (known >= 2)
        assert (OFF not in broken(seen, MoveLeader(heir, leaving=1), accept=True)) == (possible >= 2)
    assert (sure_margin(seen, 1) >= 0) == any(sum(heir in link for link in up) >= 2 for heir in (2, 3, 4, 5))


# -- evidence: counters of members that are made up -------------------------------------------------------------------


@dataclass
class Wires:
    """Four voters whose heartbeats arrive, one a period and stream, as etcd 3.6 counts; `cut`: (sender, receiver) pairs."""

    access: FakeAccess
    clock: FakeClock = field(default_factory=FakeClock)
    cut: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    unreadable: set[int] = field(default_factory=set[int])
    voters: int = 4
    served: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.access.scrape = self._scrape  # type: ignore[method-assign]

    def _scrape(self, endpoint: Any, *, of: int, timeout: float) -> Metrics | None:  # noqa: ARG002
        number = int(endpoint.host.rpartition(".")[2])
        if number in self.unreadable:
            return None
        beats = int(self.clock.now() / PERIOD_SECONDS)
        heard = [other for other in range(1, self.voters + 1) if other != number and (other, number) not in self.cut]
        value = 20 * 2 * beats * len(heard)
        name = "etcd_network_peer_received_bytes_total"
        rows = [f'{name}{{From="{other:x}"}} {self.clock.now()}' for other in heard]
        rows.append(f'promhttp_metric_handler_requests_total{{code="200"}} {next(self.served)}')
        return parse("\n".join(["etcd_server_is_leader 0", f'{name}{{From="0"}} {value}', *rows, ""]))

    def known_after(self, seconds: float) -> tuple[Links, bool]:
        links = VoterLinks(self.access, self.clock)
        links.begin()
        seen = links.added(view(self.voters))
        for _ in range(round(seconds / 0.25)):
            self.clock.pass_time(0.25)
            seen = links.added(view(self.voters))
        return seen.links, links.settled(seen)


def both_ways(*links: frozenset[int]) -> set[tuple[int, int]]:
    return {ends for link in links for ends in permutations(sorted(link))}  # type: ignore[misc]


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FakeAccess(cluster(4)) as access:
        yield Wires(access)


FOLLOWERS = frozenset(pair(*one) for one in combinations((2, 3, 4), 2))


def test_links_between_followers_are_seen_within_two_periods(wires: Wires) -> None:
    assert wires.known_after(2 * PERIOD_SECONDS) == (Links(up=FOLLOWERS, worlds=(frozenset(),)), True)


def test_links_that_are_cut_are_missing_after_a_while_and_unknown_before(wires: Wires) -> None:
    wires.cut = both_ways(*FOLLOWERS)
    assert wires.known_after(4.0) == (Links(worlds=(FOLLOWERS,)), False)
    assert wires.known_after(PATIENCE_SECONDS + 0.5) == (Links(down=FOLLOWERS, worlds=(FOLLOWERS,)), True)


@pytest.mark.parametrize("cut", [{(2, 3), (3, 2)}, {(4, 2), (4, 3)}], ids=["m2 and m3 apart", "m4 is not heard"])
def test_of_a_sender_that_is_not_heard_it_is_not_known_which_it_is(wires: Wires, cut: set[tuple[int, int]]) -> None:
    """Of m2 and m3 each lacks one, and m4 hears everybody. That it hears all others once made it the best heir, also where
    nobody but the leader heard it."""
    wires.cut = cut
    known, settled = wires.known_after(PATIENCE_SECONDS + 0.5)
    assert settled and not known.up and not known.down
    assert set(known.worlds) == {
        frozenset({pair(2, 3)}),
        frozenset({pair(2, 3), pair(3, 4)}),
        frozenset({pair(2, 4), pair(2, 3)}),
        frozenset({pair(2, 4), pair(3, 4)}),
    }


def test_what_a_voter_lacks_stays_lacking_while_its_page_cannot_be_read(wires: Wires) -> None:
    wires.cut = both_ways(*FOLLOWERS)
    links = VoterLinks(wires.access, wires.clock)
    for _ in range(40):
        wires.clock.pass_time(0.25)
        links.added(view(4))
    wires.unreadable = {2, 3, 4}
    for _ in range(24):
        wires.clock.pass_time(0.25)
        assert links.added(view(4)).links.down == FOLLOWERS


def test_a_voter_that_hears_nobody_else_is_not_linked_because_others_hear_it(wires: Wires) -> None:
    """A link works in both directions, or it does not work."""
    wires.cut = {(other, 2) for other in (1, 3, 4)}
    known, _ = wires.known_after(PATIENCE_SECONDS + 0.5)
    assert known.up == {pair(3, 4)} and known.down == {pair(2, 3), pair(2, 4)}


def test_where_counters_cannot_be_read_links_stay_unknown_and_the_wait_ends(wires: Wires) -> None:
    wires.unreadable = {2, 3, 4}
    assert wires.known_after(1.0) == (Links(worlds=(frozenset(),)), False)
    assert wires.known_after(5.0) == (Links(worlds=(frozenset(),)), True)


def test_after_a_pause_the_count_begins_anew(wires: Wires) -> None:
    """A removal that waited for its turn would otherwise take links for missing that were not looked at meanwhile."""
    links = VoterLinks(wires.access, wires.clock)
    links.added(view(4))
    wires.clock.pass_time(60)
    seen = links.added(view(4))
    assert not seen.links.down and not links.settled(seen)


# -- the judge of a removal ---------------------------------------------------------------------------------------------


def judge(wires: Wires, *, consent: bool = False, member: int = 1) -> RemovalJudge:
    policy = RemovePolicy(accept_reduced_tolerance=consent)
    goal, links = RemoveGoal(member, f"m{member}"), VoterLinks(wires.access, wires.clock)
    return RemovalJudge(
        wires.access, wires.clock, [where(1)], goal, policy, lambda _text: None, links, AbsenceKeeper(wires.access, wires.clock)
    )


def allowed(one: RemovalJudge) -> None:
    one.allowed(one.look(), lambda: None)


def test_the_removal_of_a_leader_is_allowed_once_its_followers_are_seen_to_be_linked(wires: Wires) -> None:
    allowed(judge(wires))
    assert wires.clock.now() < 2 * PERIOD_SECONDS + 1


@pytest.mark.parametrize("consent", [False, True])
def test_the_removal_of_the_leader_of_a_star_is_refused_before_anything_is_moved(wires: Wires, consent: bool) -> None:
    wires.cut = both_ways(*FOLLOWERS)
    with pytest.raises(Refused, match="m2-m3, m2-m4, m3-m4") as raised:
        allowed(judge(wires, consent=consent))
    assert "open the peer ports" in raised.value.advice
    assert all("MoveLeader" not in server.asked for server in wires.access.places.values())


def test_a_follower_whose_removal_leaves_others_unlinked_costs_tolerance(wires: Wires) -> None:
    """It alone linked the other two without the leader. Assumed to be linked, they seemed to lose nothing."""
    wires.cut = {(2, 4), (4, 2)}
    with pytest.raises(UnsafeStep, match="0 voters could fail then, instead of 1"):
        allowed(judge(wires, member=3))
    allowed(judge(wires, member=2))


@pytest.mark.parametrize("member", [2, 4])
def test_a_cut_between_followers_is_counted_on_both_sides_of_a_removal(wires: Wires, member: int) -> None:
    """What m2 sends does not reach m3. All of m3's links counted as down before the removal of m4, which therefore lowered
    nothing; without it, m2 and m3 are no quorum once the leader fails."""
    wires.cut = {(2, 3)}
    with pytest.raises(UnsafeStep, match=r"0 voters could fail then, instead of 1.*does not work"):
        allowed(judge(wires, member=member))
    allowed(judge(wires, member=3))


def test_where_nothing_can_be_known_consent_lets_the_leader_go(wires: Wires) -> None:
    wires.unreadable = {1, 2, 3, 4}
    with pytest.raises(UnsafeStep, match="are known to work") as raised:
        allowed(judge(wires))
    assert "/metrics" in raised.value.advice
    allowed(judge(wires, consent=True))


# -- transfers ----------------------------------------------------------------------------------------------------------


@dataclass
class Moving:
    """Three voters; `ends`: what becomes of a transfer, and who leads after it."""

    access: FakeAccess
    clock: FakeClock = field(default_factory=FakeClock)

    def leads(self, number: int) -> None:
        for server in self.access.places.values():
            server.leader = number

    def on_transfer(self, error: QuorateError | None, leader: int) -> None:
        def move(_request: object) -> Any:
            self.leads(leader)
            if error is not None:
                raise error
            return wire.HeaderResponse()

        for server in self.access.places.values():
            server.replies["MoveLeader"] = move

    def move(self, which: str = "m2") -> str:
        return Cluster(self.access, [where(1)], self.clock).move_leader(which).name

    @property
    def transfers(self) -> int:
        return sum(server.asked.count("MoveLeader") for server in self.access.places.values())


@pytest.fixture
def moving() -> Iterator[Moving]:
    with FakeAccess(cluster(3)) as access:
        yield Moving(access)


@pytest.mark.parametrize("error", [None, AnswerLost("no answer in time"), ServerTimedOut("timed out")])
def test_a_transfer_has_succeeded_when_the_voter_leads_whatever_was_answered(
    moving: Moving, error: QuorateError | None
) -> None:
    moving.on_transfer(error, 2)
    assert moving.move() == "m2" and moving.transfers == 1
    assert moving.move() == "m2" and moving.transfers == 1, "it leads already"


def test_a_transfer_that_failed_says_who_leads(moving: Moving) -> None:
    moving.on_transfer(AnswerLost("no answer in time"), 1)
    with pytest.raises(LeaderStays, match="m2 did not take over") as raised:
        moving.move()
    assert raised.value.state.startswith("m1 leads") and raised.value.exit_code == 1


def test_a_transfer_after_which_nobody_leads_is_unknown(moving: Moving) -> None:
    moving.on_transfer(AnswerLost("no answer in time"), 0)
    with pytest.raises(OutcomeUnknown) as raised:
        moving.move()
    assert raised.value.exit_code == 5


def test_a_transfer_that_was_never_sent_is_an_error_at_once(moving: Moving) -> None:
    moving.on_transfer(Unreachable("connection refused"), 1)
    with pytest.raises(Unreachable):
        moving.move()


def test_a_voter_that_answers_and_does_not_follow_is_not_asked_to_lead(moving: Moving) -> None:
    moving.access.places[where(2)].cut = True
    with pytest.raises(UnsafeStep, match="m2 answers, but does not follow the leader"):
        moving.move()
    assert moving.transfers == 0


def test_a_follower_of_a_star_of_five_is_not_asked_to_lead() -> None:
    with FakeAccess(cluster(5)) as access:
        wires = Wires(access, voters=5, cut=set(permutations((2, 3, 4, 5), 2)))
        moving = Moving(access, wires.clock)
        with pytest.raises(UnsafeStep, match="its link to m3, m4, m5 is not known to work"):
            moving.move()
        assert moving.transfers == 0
        wires.cut = {(3, 2)}
        with pytest.raises(UnsafeStep, match="is not known to work"):
            moving.move()
        wires.cut = {(3, 4)}
        moving.on_transfer(None, 2)
        assert moving.move() == "m2"


@pytest.mark.parametrize("voters", [3, 5])
def test_where_the_size_is_the_reason_the_advice_is_to_add_a_member(voters: int) -> None:
    """Ports and metrics are fine: to open them was no way."""
    whole = view(voters)
    leader = whole.leader
    assert leader is not None
    with pytest.raises(UnsafeStep) as raised:
        invariants.check(Step(whole, Remove(leader.id, named=True), Limits(whole.cluster_id), whole.taken_at))
    assert raised.value.advice.startswith("add a member first")
