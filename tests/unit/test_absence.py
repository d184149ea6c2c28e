"""When a voter is dead: after silence everywhere for long enough, and after nothing less."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, pairwise

import pytest

from quorate.core.absence import ABSENCE_SECONDS, FRESH_SECONDS, MOST_BETWEEN_LOOKS, Absence, AbsenceWatch
from quorate.core.membership import ClusterView, NoResponse
from quorate.errors import ConfigError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.metrics import Metrics, parse
from quorate.etcd.client.pages import Pages
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.removal_judge import RemovePolicy
from quorate.etcd.observation.absence_watch import watch_absence
from quorate.etcd.observation.heartbeats import PERIOD_SECONDS
from unit.fakes import FakeAccess, FakeClock, where
from unit.views import member, view


def watched(
    seconds: float,
    *,
    every: float = 0.5,
    start: AbsenceWatch | None = None,
    at: float = 0.0,
    received: Callable[[float], Mapping[int, float] | None] = lambda _: {1: 7.0, 2: 3.0},
) -> AbsenceWatch:
    watch, now = start or AbsenceWatch(3), at
    while now <= at + seconds:
        watch = watch.look(answered=False, received=received(now), now=now)
        now += every
    return watch


def test_two_seconds_of_silence_are_no_absence_and_ten_are() -> None:
    assert ABSENCE_SECONDS == 10.0
    assert watched(2.0).absence is None
    assert watched(9.5).absence is None
    assert watched(10.0).absence == Absence(3, "silent", 10.0, 21, 10.0, ((1, 7.0), (2, 3.0)))


def test_an_answer_is_a_sign_of_life() -> None:
    watch = watched(9.5).look(answered=True, received={1: 7.0}, now=10.0)
    assert watch.sign == "alive" and watch.absence is None
    assert watched(1.0, start=watch, at=10.5).absence is None, "the time before it counts no more"


def test_a_gap_between_looks_proves_nothing() -> None:
    watch = watched(5.0)
    watch = watched(4.0, start=watch, at=5.0 + MOST_BETWEEN_LOOKS + 1)
    assert watch.absence is None and watch.seconds == 4.0


def test_another_set_of_members_begins_the_count_anew() -> None:
    assert watched(11.0, received=lambda now: {1: 7.0} if now < 6 else {1: 7.0, 2: 3.0}).absence is None


@pytest.mark.parametrize("hears", [1, 2])
def test_bytes_that_arrive_at_any_member_are_a_sign_of_life(hears: int) -> None:
    """One that is cut off from the leader campaigns, which whoever still hears it counts."""
    still = {1: 7.0, 2: 3.0}
    watch = watched(12.0, received=lambda now: still if now < 11 else {**still, hears: 8.0})
    assert watch.absence is None and watch.seconds < 2
    assert watched(1.0, received=lambda now: {**still, hears: 7.0 + now}).sign == "alive"


def test_a_proof_is_of_one_member_and_for_some_seconds() -> None:
    proof = Absence(3, "silent", 10.0, 21, at=100.0)
    assert proof.holds(3, 100.0 + FRESH_SECONDS) and not proof.holds(3, 100.1 + FRESH_SECONDS)
    assert not proof.holds(4, 100.0)


def test_a_byte_behind_the_proof_is_a_sign_of_life() -> None:
    """One that was started again answers the leader's heartbeats before it serves clients."""
    proof = Absence(3, "silent", 10.0, 21, received=((1, 7.0), (2, 3.0)))
    assert proof.still({2: 3.0, 1: 7.0})
    assert not proof.still({1: 7.0, 2: 3.5})
    assert not proof.still({1: 7.0}), "not everybody says"
    assert not proof.still(None), "nobody says"
    assert Absence(3, "ended").still(None), "this host saw its process end"


def test_a_proof_of_absence_is_fresh_for_five_seconds() -> None:
    assert FRESH_SECONDS == 5.0, "whoever is about to be removed may have come back since"


def test_a_counter_that_begins_anew_is_compared_with_itself_only() -> None:
    assert watched(12.0, received=lambda now: {1: 7.0 if now < 6 else 0.0}).absence is None


def test_without_the_members_counts_nobody_can_say() -> None:
    assert watched(20.0, received=lambda _: None).sign == "unknown"
    assert watched(20.0, received=lambda _: None).absence is None


def test_few_looks_prove_nothing_however_long() -> None:
    watch = watched(1.0, every=0.5, start=AbsenceWatch(3, needed=0.5))
    assert watch.seconds >= 0.5 and watch.looks == 3 and watch.absence is None


# -- the watch, with looks at a cluster --------------------------------------------------------------------------------

PAGE = 'etcd_server_is_leader 1\netcd_network_peer_received_bytes_total{From="3"} 7\n'


@contextmanager
def watching(page: str | None) -> Iterator[FakeAccess]:
    with FakeAccess() as access:
        access.metrics = parse(page) if page is not None else None
        yield access


def silent_view() -> ClusterView:
    seen = view(3)
    return replace(seen, replies={**seen.replies, 3: NoResponse("nothing")})


def watch(access: FakeAccess, seen: ClusterView) -> tuple[Absence | None, FakeClock]:
    clock = FakeClock()
    found = watch_absence(access, lambda: seen, 3, clock, seconds=10.0, say=lambda _: None)
    return found, clock


def test_a_watch_proves_absence_by_the_leaders_count() -> None:
    with watching(PAGE) as access:
        found, clock = watch(access, silent_view())
    assert found is not None and found.member_id == 3
    assert clock.time == pytest.approx(10.0, abs=0.5)


def test_a_watch_without_metrics_proves_nothing() -> None:
    with watching(None) as access:
        assert watch(access, silent_view())[0] is None


def test_a_page_without_etcds_numbers_proves_nothing() -> None:
    """A proxy's page has none: that reads as nothing received."""
    with watching("") as access:
        assert watch(access, silent_view())[0] is None


def test_a_page_that_does_not_say_who_leads_proves_nothing() -> None:
    for page in (PAGE.partition("\n")[2], PAGE.replace("leader 1", "leader 0")):
        with watching(page) as access:
            assert watch(access, silent_view())[0] is None


def test_a_watch_needs_the_count_of_every_voter_that_answers() -> None:
    """The one that cannot be read may be the one that hears it."""
    with watching(PAGE) as access:
        made = access.scrape
        first = where(1)
        access.scrape = lambda endpoint, *, of, timeout: made(endpoint, of=of, timeout=timeout) if endpoint == first else None  # type: ignore[method-assign]
        assert watch(access, silent_view())[0] is None


def test_a_page_that_somebody_kept_proves_nothing() -> None:
    """A proxy before the members served copies for some seconds: nothing grew, and a live voter was removed as dead."""
    with watching(PAGE) as access:
        kept = parse(PAGE + 'promhttp_metric_handler_requests_total{code="200"} 4\n')
        access.scrape = lambda endpoint, *, of, timeout: kept  # type: ignore[method-assign] # noqa: ARG005
        assert watch(access, silent_view())[0] is None


def test_a_page_of_another_member_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address led to the members for gRPC, and to another cluster for metrics: a live voter was removed."""
    page = parse(PAGE + 'etcd_server_id{server_id="b7"} 1\n')
    monkeypatch.setattr(Pages, "scrape", lambda *_args, **_more: page)
    with Access() as access:
        assert access.scrape(where(1), of=0xB7, timeout=1.0) == page
        assert access.scrape(where(1), of=1, timeout=1.0) is None


def test_two_pages_that_somebody_kept_in_turn_prove_nothing() -> None:
    """Two proxies, each with a page of another moment: neither is news."""
    with watching(PAGE) as access:
        kept = [parse(PAGE + f'promhttp_metric_handler_requests_total{{code="200"}} {number}\n') for number in (4, 7)]
        asked = count()
        access.scrape = lambda endpoint, *, of, timeout: kept[next(asked) // 2 % 2]  # type: ignore[method-assign] # noqa: ARG005
        assert watch(access, silent_view())[0] is None


def test_a_lease_is_renewed_while_a_voter_is_watched() -> None:
    kept: list[float] = []
    with watching(PAGE) as access:
        clock = FakeClock()
        watch_absence(access, silent_view, 3, clock, seconds=25.0, say=lambda _: None, keep=lambda: kept.append(clock.time))
    assert max(later - earlier for earlier, later in pairwise(kept)) < 2.0


def test_a_watch_takes_no_word_of_a_leader_that_is_cut_off() -> None:
    with watching(PAGE) as access:
        assert watch(access, replace(silent_view(), linearizable=False))[0] is None


def test_a_watch_ends_at_the_first_answer() -> None:
    with watching(PAGE) as access:
        found, clock = watch(access, view(3))
    assert found is None and clock.time < 1


def beating(access: FakeAccess, clock: FakeClock, senders: int) -> None:
    """Each page counts the link heartbeats of so many members, a period each, on two streams, as etcd 3.6 does."""
    made = access.scrape

    def scrape(endpoint: Endpoint, *, of: int, timeout: float) -> Metrics | None:
        page = made(endpoint, of=of, timeout=timeout)
        beats = 20.0 * 2 * senders * int(clock.time / PERIOD_SECONDS)
        name = ("etcd_network_peer_received_bytes_total", frozenset({("From", "0")}))
        return Metrics({**page.values, name: beats}) if page is not None else None

    access.scrape = scrape  # type: ignore[method-assign]


@pytest.mark.parametrize(("senders", "proved"), [(1, True), (2, False)])
def test_a_voter_whose_heartbeats_arrive_anywhere_lives(senders: int, proved: bool) -> None:
    """It hears the leader, so it does not campaign; the leader does not hear it, and neither do we. To the others it sends link
    heartbeats, which carry no name. It was removed as dead, and the cluster could lose one voter fewer."""
    with watching(PAGE) as access:
        clock = FakeClock()
        beating(access, clock, senders)
        found = watch_absence(access, silent_view, 3, clock, seconds=10.0, say=lambda _: None)
    assert (found is not None) == proved


def test_a_learner_that_others_hear_by_name_is_no_sign_of_anothers_life() -> None:
    """It is out of our reach alone; a dead voter could not be removed beside it."""
    beside = view(3, member(9, learner=True))
    quiet = {3: NoResponse("nothing"), 9: NoResponse("nothing")}
    seen = replace(beside, replies={**beside.replies, **quiet})
    with watching(PAGE) as access:
        clock = FakeClock()
        access.heard = (9,)
        beating(access, clock, 2)
        found = watch_absence(access, lambda: seen, 3, clock, seconds=10.0, say=lambda _: None)
    assert found is not None


def test_a_voter_that_is_sent_a_snapshot_is_not_absent() -> None:
    loading = 'etcd_network_snapshot_send_inflights_total{To="3"} 1\n'
    with watching(PAGE + loading) as access:
        assert watch(access, silent_view())[0] is None


@pytest.mark.parametrize("seconds", [0, -5, 2.9, math.nan, math.inf])
def test_no_way_to_a_removal_takes_a_voter_for_dead_that_stalls_for_a_moment(seconds: float) -> None:
    """One that was stopped for 2.8 s was removed without consent by a program; only the command line had a lower limit."""
    with FakeAccess() as access:
        with pytest.raises(ConfigError, match=r"^absence_seconds of"):
            Cluster(access, [], absence_seconds=seconds)
        with pytest.raises(ConfigError, match=r"^absence_seconds of"):
            RemovePolicy(absence_seconds=seconds)
        Cluster(access, [], absence_seconds=3)
