"""Quorum arithmetic, ids, versions, proofs and lag: laws as properties, facts as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import versions
from quorate.core.catch_up import FRESH_SECONDS, ROUNDS, Proof, lag_entries
from quorate.core.ids import address_of, format_id, is_loopback, normalise_url, parse_id
from quorate.core.membership import ClusterView, Member, NoResponse, margin_of, size_advice
from quorate.core.meters import LagMeter
from quorate.core.quorum import margin, quorum
from quorate.core.versions import Version
from quorate.errors import ConfigError
from unit.views import answer, view


@given(st.integers(1, 1000))
def test_two_quorums_always_share_a_voter(voters: int) -> None:
    assert 2 * quorum(voters) > voters
    assert 2 * (quorum(voters) - 1) <= voters


@given(st.integers(1, 99), st.integers(0, 99))
def test_margin_counts_the_failures_left(voters: int, reachable: int) -> None:
    left = margin(voters, reachable)
    assert reachable - left >= quorum(voters) > reachable - left - 1


def test_no_voters_have_no_quorum() -> None:
    assert quorum(0) == 0


@given(st.integers(1, 2**64 - 1))
def test_ids_survive_printing(number: int) -> None:
    assert parse_id(format_id(number)) == number


@pytest.mark.parametrize("text", ["", "xyz", "0", "-1", "1" * 17, "0x1ffffffffffffffff"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_id(text)


def test_a_decimal_id_is_named_as_the_mistake_it_is() -> None:
    with pytest.raises(ConfigError, match="did you mean c6c89977ac22038d"):
        parse_id("14323867354119930765")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://HOST:2380/", "https://host:2380"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("https://[FE80::1]:2380", "https://[fe80::1]:2380"),
        ("http://[FE80::1%25Eth0]:2380", "http://[fe80::1%25Eth0]:2380"),
        ("http://[fe80::1%eth0]:2380", "http://[fe80::1%25eth0]:2380"),
        ("http://[fe80::1%2525]:2380", "http://[fe80::1%2525]:2380"),
    ],
)
def test_urls_have_one_spelling(url: str, wanted: str) -> None:
    assert normalise_url(url) == wanted
    assert normalise_url(wanted) == wanted


@pytest.mark.parametrize(
    "url", ["host:2380", "https://host", "ftp://h:1", "https://h:99999", "https://h:1/x", "https://u@h:1", ""]
)
def test_what_is_no_peer_url(url: str) -> None:
    with pytest.raises(ConfigError):
        normalise_url(url)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://[fe80::1%25eth0]:1", "fe80::1%eth0"),
        ("http://[fe80::1%eth0]:1", "fe80::1%eth0"),
        ("http://[::1]:1", "::1"),
        ("http://h%2541:1", ""),
        ("http://[::1", ""),
    ],
)
def test_the_address_of_a_url_is_what_sockets_take(url: str, address: str) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://localhost:1", True),
        ("https://127.9.9.9:1", True),
        ("https://[::1]:1", True),
        ("https://10.0.0.1:1", False),
        ("https://h:1", False),
        ("https://[::1%25lo]:1", True),
        ("https://[::1", False),
        ("http://[::ffff:127.0.0.1]:2380", True),
        ("http://[::ffff:10.0.0.1]:2380", False),
    ],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_versions() -> None:
    assert Version.parse("etcd Version: 3.6.16-rc.1") == Version(3, 6, 16)
    assert str(Version(3, 5, 35)) == "3.5.35"
    assert [versions.can_lose_data(Version(3, 5, patch)) for patch in range(4)] == [True, True, True, False]
    assert not versions.can_lose_data(Version(3, 4, 2))
    assert [versions.has_max_learners(Version(3, minor, 0)) for minor in (4, 5, 6, 7)] == [False, False, True, True]
    assert versions.upgrade_advice(Version(3, 5, 25)) and not versions.upgrade_advice(Version(3, 5, 26))
    assert versions.upgrade_advice(Version(3, 4, 45)) and not versions.upgrade_advice(Version(3, 6, 0))
    assert not versions.is_supported(Version(3, 3, 27))
    with pytest.raises(ValueError, match="no version"):
        Version.parse("etcd")


@pytest.mark.parametrize(("voters", "said"), [(1, None), (3, None), (7, None), (2, "1 or 3"), (4, "3 or 5"), (9, "7 at most")])
def test_size_advice(voters: int, said: str | None) -> None:
    advice = size_advice(voters)
    assert (advice is None) if said is None else (advice is not None and said in advice)


def test_a_view_knows_its_leader_by_the_newest_term() -> None:
    seen = view(3, answers={1: answer(1, leader=1, term=4), 2: answer(2, leader=2, term=5)})
    assert seen.leader is not None and seen.leader.id == 2


def test_a_view_without_claims_has_no_leader() -> None:
    """A Status alone is no evidence: a voter that was cut off names its old leader for seconds."""
    alone = view(3, answers={1: answer(1, leader=2)})
    assert replace(alone, read_by=frozenset()).leader is None


def test_a_leader_out_of_our_reach_is_named_by_the_voters_that_read_through_the_quorum() -> None:
    seen = view(3, answers={1: answer(1, leader=2), 3: answer(3, leader=2)})
    assert seen.leader is not None and seen.leader.id == 2
    assert replace(seen, replies={1: answer(1, leader=2), 3: answer(3, leader=1)}).leader is None, "they disagree"


def test_margin_of_a_view_counts_only_answering_voters() -> None:
    seen = view(3, answers={1: answer(1, leader=1), 2: NoResponse("gone")})
    assert (seen.reachable_voters, margin_of(seen)) == (1, -1)


def test_finding_members() -> None:
    seen = ClusterView(1, (Member(5, "a", ("https://a:1", "https://b:1")),), {}, 0.0)
    assert seen.by_peer_urls(["https://b:1"]) == seen.by_name("a") == seen.by_id(5)
    assert seen.by_peer_urls(["https://c:1"]) is None


PROOF = Proof(7, 1, 3, 100, 100, 10.0, ROUNDS, heard=True)


def test_a_proof_holds_for_that_member_of_that_cluster_for_a_moment() -> None:
    assert PROOF.holds(member_id=7, cluster_id=1, now=10.0 + FRESH_SECONDS)
    assert not PROOF.holds(member_id=7, cluster_id=1, now=10.1 + FRESH_SECONDS)
    assert not PROOF.holds(member_id=8, cluster_id=1, now=10.0)
    assert not PROOF.holds(member_id=7, cluster_id=2, now=10.0)


@given(st.integers(0, 200), st.integers(0, ROUNDS))
def test_a_proof_needs_every_round_and_the_whole_index(applied: int, rounds: int) -> None:
    proof = Proof(7, 1, 3, 100, applied, 10.0, rounds, heard=True)
    assert proof.holds(member_id=7, cluster_id=1, now=10.0) is (applied >= 100 and rounds == ROUNDS)


def test_lag_is_never_negative() -> None:
    assert (lag_entries(10, 4), lag_entries(4, 10)) == (6, 0)


def test_lag_seconds_is_the_age_of_the_leaders_index_where_the_learner_stands() -> None:
    meter = LagMeter(0.0)
    assert meter.seconds(1.0, 100, 100) == 0.0
    assert meter.seconds(2.0, 200, 100) == 1.0
    assert meter.seconds(3.0, 300, 150) == 2.0
    assert meter.seconds(4.0, 400, 300) == 1.0
    assert meter.seconds(5.0, 400, 400) == 0.0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=50))
def test_lag_seconds_is_zero_exactly_when_aligned(steps: list[tuple[int, int]]) -> None:
    meter, commit = LagMeter(0.0), 0
    for now, (more, behind) in enumerate(steps, start=1):
        commit += more
        seconds = meter.seconds(float(now), commit, commit - behind)
        assert 0.0 <= seconds <= now
        assert (seconds == 0.0) is (behind == 0)
