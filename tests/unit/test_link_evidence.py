"""Which links of a learner are seen to work: in the kernel's table of connections, and in counters of heartbeats."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

import pytest

from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, NoResponse
from quorate.core.versions import Version
from quorate.etcd.client.metrics import Metrics, parse
from quorate.etcd.membership.join_state import JoinState, state_of
from quorate.etcd.membership.link_evidence import LinkEvidence
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.etcd.observation.heartbeats import PERIOD_SECONDS, Sample, beat_bytes, hears
from quorate.etcd.observation.link_counters import (
    PATIENCE_SECONDS,
    LinkCounters,
)
from quorate.etcd.observation.voter_links import UNREADABLE_SECONDS
from quorate.host.sock_diag import Carried, established
from quorate.host.tcp_links import Connection, connection_of, linked_peers
from unit.fakes import FakeAccess, FakeClock, where
from unit.views import member, url, view

OWN = ["https://10.0.0.9:2380"]
HERE = "10.0.0.9"


def they(host: str, count: int = 2, *, heard: bool = True) -> list[Connection]:
    """Connections that somebody dialed to us: we send on them."""
    return [Connection((HERE, 2380), (host, 40000 + number), hears=False, heard=heard) for number in range(count)]


def we(host: str, count: int = 2, *, hears: bool = True, port: int = 2380) -> list[Connection]:
    """Connections that we dialed: we receive on them."""
    return [Connection((HERE, 50000 + number), (host, port), hears=hears, heard=False) for number in range(count)]


def links(table: list[Connection], *peers: str) -> list[bool]:
    found = linked_peers(table, OWN, {number: [f"https://{peer}"] for number, peer in enumerate(peers)})
    assert found is not None
    return list(found.values())


def test_a_peer_is_linked_that_dialed_us_and_that_we_dialed_on_both_streams() -> None:
    assert links(they("10.0.0.1") + we("10.0.0.1"), "10.0.0.1:2380", "10.0.0.2:2380") == [True, False]


@pytest.mark.parametrize(
    "table",
    [
        they("10.0.0.1"),
        we("10.0.0.1"),
        they("10.0.0.1", 1) + we("10.0.0.1"),
        they("10.0.0.1") + we("10.0.0.1", 1),
        they("10.0.0.1", heard=False) + we("10.0.0.1"),
        they("10.0.0.1") + we("10.0.0.1", hears=False),
        they("10.0.0.1") + we("10.0.0.1", port=2379),
    ],
    ids=["we dialed nobody", "nobody dialed us", "one in", "one out", "lost in", "lost out", "client port"],
)
def test_a_peer_is_not_linked_on_half_of_it(table: list[Connection]) -> None:
    assert links(table, "10.0.0.1:2380") == [False]


def test_peers_behind_one_address_need_as_many_connections_as_all_of_them() -> None:
    both = ("10.0.0.1:2380", "10.0.0.1:12380")
    out = we("10.0.0.1") + we("10.0.0.1", port=12380)
    assert links(they("10.0.0.1", 2) + out, *both) == [False, False]
    assert links(they("10.0.0.1", 4) + out, *both) == [True, True]


def test_connections_from_an_unknown_address_count_only_when_they_are_enough_for_all() -> None:
    out = we("10.0.0.1") + we("10.0.0.2")
    assert links(they("192.0.2.1", 2) + out, "10.0.0.1:2380", "10.0.0.2:2380") == [False, False]
    assert links(they("192.0.2.1", 4) + out, "10.0.0.1:2380", "10.0.0.2:2380") == [True, True]


def test_a_peer_whose_name_leads_nowhere_makes_all_of_it_unknown() -> None:
    assert linked_peers([], OWN, {1: ["https://"]}) is None


QUIET = Carried((HERE, 2380), ("10.0.0.1", 40000), 0, 500, 500, 1.7, 1.7)


@pytest.mark.parametrize(
    ("one", "hears", "heard"),
    [
        (QUIET, True, True),
        (replace(QUIET, data_ago=2.6), False, True),
        (replace(QUIET, ack_ago=2.6), True, False),
        (replace(QUIET, retransmits=2), True, False),
        # Made a moment ago, and nothing has come through it: only the handshake did.
        (replace(QUIET, received=0, acked=1, data_ago=0.0, ack_ago=0.0), False, False),
    ],
)
def test_a_connection_counts_by_what_it_has_carried_lately(one: Carried, hears: bool, heard: bool) -> None:
    """Where the data of one end is lost, connections stay, and new ones are made: of four voters one had the vote that only the
    leader reached."""
    assert connection_of(one) == Connection(one.local, one.remote, hears, heard)


def test_the_kernel_tells_what_a_connection_has_carried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            client.sendall(b"x" * 100)
            assert len(server.recv(200)) == 100
            # Two connections may have one port here, to other places.
            found = {(one.local[1], one.remote[1]): one for one in established() or []}
            ports = client.getsockname()[1], server.getsockname()[1]
            there, here = found[ports[::-1]], found[ports]
            assert there.received == 100 and there.remote == client.getsockname() and there.data_ago < 60
            assert here.acked >= 100 and here.received == 0 and here.retransmits == 0


# -- counters of heartbeats --------------------------------------------------------------------------------------------


def samples(*points: tuple[float, float]) -> list[Sample]:
    return [Sample(at, at + 0.01, value) for at, value in points]


def test_counters_show_a_link_only_where_no_stream_can_make_up_for_another() -> None:
    """Two others have two streams each: four heartbeats a period at most."""
    unit, two = 20, [40, 40]
    assert hears(samples((0.0, 0.0), (PERIOD_SECONDS - 0.1, 4 * unit)), two) == 2
    assert hears(samples((0.0, 0.0), (PERIOD_SECONDS - 0.1, 3 * unit)), two) == 1
    assert hears(samples((0.0, 0.0), (10 * PERIOD_SECONDS, 20 * unit)), two) == 0, "one stream counted twenty times"
    assert hears(samples((0.0, 0.0), (2.5 * PERIOD_SECONDS, 12 * unit)), two) == 2


def test_a_beat_counts_what_its_receiver_and_its_sender_make_of_it() -> None:
    """With the receiver's size alone, one 3.6 member counted as five others at a 3.7 one: a learner without a link to the other
    voter had its vote."""
    v35, v36, v37 = (Version(3, minor, 1) for minor in (5, 6, 7))
    assert [beat_bytes(*pair) for pair in ((v35, v36), (v36, v35), (v36, v37), (v37, v36))] == [60, 52, 40, 22]
    one_of_3_6 = samples((0.0, 0.0), (PERIOD_SECONDS - 0.1, 22))
    assert hears(one_of_3_6, [beat_bytes(v37, v36), beat_bytes(v37, v37)]) == 1
    assert hears(samples((0.0, 0.0), (PERIOD_SECONDS - 0.1, 26)), [22, 4]) == 2


def test_counters_measure_a_window_from_question_to_answer() -> None:
    slow = [Sample(0.0, 1.0, 0.0), Sample(1.5, PERIOD_SECONDS + 0.1, 80.0)]
    assert hears(slow, [40, 40]) < 2


def test_heartbeats_count_what_the_version_counts() -> None:
    assert [beat_bytes(Version(3, minor, 1), Version(3, minor, 2)) for minor in (4, 5, 6, 7, 8)] == [60, 60, 40, 4, 4]
    assert beat_bytes(Version(3, 7, 0), None) == 22, "of one whose version is not known the most"


@dataclass
class Counting:
    """Counters of two voters and a learner, each set by hand; `rate` is added to all of them a second."""

    access: FakeAccess
    clock: FakeClock = field(default_factory=FakeClock)
    values: dict[int, float | None] = field(default_factory=lambda: {1: 0.0, 2: 0.0, 9: 0.0})
    seen: ClusterView = field(default_factory=lambda: SEEN)
    from_3: dict[int, float] = field(default_factory=lambda: {1: 7.0, 2: 7.0, 9: 7.0})
    hears_3: int = 0
    """Who goes on hearing of member 3, which does not answer us."""
    began: dict[int, int] = field(default_factory=lambda: dict.fromkeys((1, 2, 9), 1))
    served: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.counters = LinkCounters(self.access, self.clock)
        self.access.scrape = self._scrape  # type: ignore[method-assign]

    def _scrape(self, endpoint: Any, *, of: int, timeout: float) -> Metrics | None:  # noqa: ARG002
        number = int(endpoint.host.rpartition(".")[2])
        name, value = "etcd_network_peer_received_bytes_total", self.values[number]
        return (
            None
            if value is None
            else parse(
                f'etcd_server_is_leader 0\n{name}{{From="0"}} {value}\n{name}{{From="3"}} {self.from_3[number]}\n'
                f"process_start_time_seconds {self.began[number]}\n"
                f'promhttp_metric_handler_requests_total{{code="200"}} {next(self.served)}\n'
            )
        )

    def run(self, seconds: float, **rates: float) -> dict[int, bool] | None:
        """Lets time pass with these bytes a second on m1, m2, m9; returns what is seen of 9 at last."""
        found = None
        for _ in range(round(seconds / 0.25)):
            self.clock.pass_time(0.25)
            for number in (1, 2, 9):
                value = self.values[number]
                self.values[number] = None if value is None else value + rates.get(f"m{number}", 0.0) / 4
            if self.hears_3:
                self.from_3[self.hears_3] += 1
            found = self.counters.links_of(self.seen, 9)
        return dict(found) if found is not None else None


SEEN: ClusterView = view(2, member(9, learner=True))
FULL = 4 * 20 / PERIOD_SECONDS * 1.2


@pytest.fixture
def counting() -> Iterator[Counting]:
    with FakeAccess() as access:
        yield Counting(access)


def test_a_link_is_seen_when_both_ends_hear_everybody(counting: Counting) -> None:
    assert counting.run(4, m1=FULL, m2=FULL, m9=FULL) == {2: True}


@pytest.mark.parametrize("rates", [{"m2": FULL}, {"m9": FULL}], ids=["the learner is deaf", "the voter is deaf"])
def test_a_link_is_not_seen_when_one_end_does_not_hear_everybody(counting: Counting, rates: dict[str, float]) -> None:
    assert counting.run(4, m1=FULL, **rates) == {2: False}


def test_a_counter_that_fell_was_restarted_and_what_was_counted_before_says_nothing(counting: Counting) -> None:
    assert counting.run(4, m1=FULL, m2=FULL, m9=FULL) == {2: True}
    counting.values[2], counting.began[2] = 0.0, 2
    assert counting.run(0.5, m1=FULL, m9=FULL) == {2: False}


def test_a_page_that_somebody_kept_shows_no_link(counting: Counting) -> None:
    """A proxy that keeps pages for some seconds: all that came meanwhile fell between two looks, and a link that was cut
    counted as one that works."""
    kept: dict[int, Metrics | None] = {}
    made = counting._scrape

    def scrape(endpoint: Any, *, of: int, timeout: float) -> Metrics | None:
        if round(counting.clock.time * 4) % 16 == 1 or of not in kept:
            kept[of] = made(endpoint, of=of, timeout=timeout)
        return kept[of]

    counting.access.scrape = scrape  # type: ignore[method-assign]
    assert counting.run(24.5, m1=FULL / 2, m2=FULL / 2, m9=FULL / 2) in ({}, {2: False})


def test_links_are_unknown_while_somebody_does_not_answer_or_tells_no_counters(counting: Counting) -> None:
    counting.seen = replace(SEEN, replies={**SEEN.replies, 2: NoResponse("gone")})
    assert counting.run(1, m1=FULL, m9=FULL) == {}, "of a voter that is silent nobody can tell"
    counting.seen, counting.values[2] = SEEN, None
    counting.counters = LinkCounters(counting.access, counting.clock)
    assert counting.run(1, m1=FULL, m9=FULL) == {}


def test_a_link_that_was_up_ten_seconds_ago_is_not_seen_by_that(counting: Counting) -> None:
    assert counting.run(4, m1=FULL, m2=FULL, m9=FULL) == {2: True}
    assert counting.run(5, m1=FULL, m9=FULL) == {2: False}


def test_a_link_that_was_up_two_seconds_ago_is_not_seen_by_that(counting: Counting) -> None:
    assert counting.run(4, m1=FULL, m2=FULL, m9=FULL) == {2: True}
    assert counting.run(2, m1=FULL, m9=FULL) == {2: False}


def test_of_a_voter_whose_page_cannot_be_read_any_more_nothing_is_known(counting: Counting) -> None:
    assert counting.run(4, m1=FULL, m2=FULL, m9=FULL) == {2: True}
    counting.values[2] = None
    assert counting.run(5, m1=FULL, m9=FULL) == {}


def beside_a_silent_one(counting: Counting) -> Counting:
    """Of three voters the last does not answer us; its heartbeats would stand in for a link that is cut."""
    seen = view(3, member(9, learner=True))
    counting.seen = replace(seen, replies={**seen.replies, 3: NoResponse("gone")})
    return counting


def test_a_silent_member_is_left_out_of_the_count_only_when_nobody_has_heard_it_for_a_while(counting: Counting) -> None:
    three = beside_a_silent_one(counting)
    assert three.run(3.75, m1=FULL, m2=FULL, m9=FULL) == {2: False}
    assert three.run(1.0, m1=FULL, m2=FULL, m9=FULL) == {2: True}


@pytest.mark.parametrize("hears", [1, 2, 9])
def test_a_silent_member_that_somebody_hears_is_not_left_out_of_the_count(counting: Counting, hears: int) -> None:
    three = beside_a_silent_one(counting)
    three.hears_3 = hears
    assert three.run(9, m1=FULL, m2=FULL, m9=FULL) == {2: False}


# -- patience ----------------------------------------------------------------------------------------------------------


class Seen:
    """A runtime that sees these links, or none."""

    def __init__(self) -> None:
        self.links_seen: dict[int, bool] | None = {1: True, 2: False}
        self.asked: set[int] = set()

    def links(self, peers: Mapping[int, object]) -> dict[int, bool] | None:
        self.asked = set(peers)
        return self.links_seen


@dataclass
class Evidence:
    access: FakeAccess
    clock: FakeClock = field(default_factory=FakeClock)
    runtime: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.evidence = LinkEvidence(self.access, self.clock)
        memory = JoinMemory(member_id=9, ours=True)
        self.track: JoinState = state_of(JoinSpec("m9", url(9), where(9), None, memory), cast("Runtime", self.runtime), 0.0)

    def state(self, other: int) -> str:
        return self.evidence.added(SEEN, self.track).links.state(9, other)

    def look_for(self, seconds: float) -> None:
        """Look after look, without a pause."""
        for _ in range(round(seconds)):
            self.clock.pass_time(1)
            self.state(2)


@pytest.fixture
def evidence() -> Iterator[Evidence]:
    with FakeAccess() as access:
        yield Evidence(access)


def test_a_link_is_looked_for_a_while_before_it_counts_as_missing(evidence: Evidence) -> None:
    assert evidence.state(2) == "assumed"
    assert not evidence.evidence.is_settled(evidence.track)
    evidence.look_for(PATIENCE_SECONDS)
    assert evidence.state(2) == "down" and evidence.evidence.is_settled(evidence.track)


def test_a_link_that_comes_up_is_not_missed_any_more(evidence: Evidence) -> None:
    evidence.state(2)
    evidence.look_for(PATIENCE_SECONDS - 1)
    evidence.runtime.links_seen = {1: True, 2: True}
    assert evidence.state(2) == "up" and not evidence.track.links_missed_at
    evidence.runtime.links_seen = {1: True, 2: False}
    evidence.clock.pass_time(2)
    assert evidence.state(2) == "assumed"


def test_a_link_that_was_missed_stays_missed_until_it_is_seen_up(evidence: Evidence) -> None:
    """A voter that stands still for a moment, or metrics that cannot be read, are no evidence for it."""
    evidence.state(2)
    evidence.look_for(PATIENCE_SECONDS)
    evidence.runtime.links_seen = {1: True}
    assert evidence.state(2) == "down"
    evidence.runtime.links_seen = {1: True, 2: True}
    assert evidence.state(2) == "up"


def test_all_other_members_are_named_to_the_kernels_table(evidence: Evidence) -> None:
    """The connections of the leader, whose link a proof shows, stood in for those of the voter that were missing."""
    evidence.state(2)
    assert evidence.runtime.asked == {1, 2}
    table = they("10.0.0.1") + we("10.0.0.2")
    named = {1: ["https://10.0.0.1:2380"], 2: ["https://10.0.0.2:2380"]}
    found = linked_peers(table, OWN, named)
    assert found is not None and found[2] is False


def test_what_was_missed_before_a_suspension_is_looked_for_anew(evidence: Evidence) -> None:
    """Neither up nor down is known then, and nothing may be assumed: a cut that came meanwhile made a voter of a learner that
    only the leader reached."""
    evidence.look_for(PATIENCE_SECONDS + 1)
    assert evidence.state(2) == "down"
    evidence.clock.pass_time(5)
    assert evidence.state(2) == "assumed" and not evidence.evidence.is_settled(evidence.track)


def test_links_of_which_nothing_is_known_are_asked_for_a_while_before_they_are_assumed(evidence: Evidence) -> None:
    """The followers' metrics could not be read for two seconds, and the learner got its vote at once."""
    evidence.runtime.links_seen = {}
    evidence.state(2)
    assert not evidence.evidence.is_settled(evidence.track)
    evidence.look_for(UNREADABLE_SECONDS)
    assert evidence.evidence.is_settled(evidence.track) and evidence.state(2) == "assumed"
