"""What comes between a decision of the autopilot and its last step, and what keeps one instance from acting, on real etcd."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeHome
from unit.test_decide_autopilot import proof, seen
from unit.views import member

from quorate.core.actions import Promote
from quorate.core.autopilot.case import Page
from quorate.errors import HostError, Refused
from quorate.etcd.autopilot import act
from quorate.etcd.autopilot.last_word import Decided
from quorate.etcd.autopilot.loop import Autopilot
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.membership.engine import do_nothing
from quorate.local import cluster as local
from quorate.local import grow
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from real.rows.processes import until as wait_for
from real.test_autopilot import FAST, piloted, roles, until
from real.test_autopilot_cut_off import is_replaced, store_of
from real.test_autopilot_drills import before_the_removal

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
ANY = replace(FAST, standbys=0, promote="any")


@pytest.fixture
def three(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    return home


def test_an_order_that_comes_before_the_vote_counts(make_home: MakeHome, etcd36: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause was confirmed, and the vote was given ten seconds later."""
    home = make_home()
    local.up(home, 2, etcd36)
    grow.add_standby(home, "m3", etcd36)
    promote = act._promote

    def paused_first(doing: Any, *given: Any) -> None:
        doing.store.pause(60, "firmware")
        promote(doing, *given)

    with piloted(home, ANY) as pilot:
        monkeypatch.setattr(act, "_promote", paused_first)
        assert "paused" in until(pilot, lambda one: one.next.rule == "grow").failed
    assert roles(home)["m3"] == "learner"


def test_what_others_did_meanwhile_is_judged_on_the_last_look() -> None:
    """A vote too many stayed for good, and a voter went for a standby that was no member any more."""
    two, learner = seen(2, member(9, learner=True)), member(9, learner=True)
    doing = act._Doing(None, None, Decided(None, two, Orders()), 3, do_nothing)  # type: ignore[arg-type]
    act._refuse_filled(doing, 0, two)
    with pytest.raises(Refused, match="3 voters by now"):
        act._refuse_filled(doing, 0, seen(3, learner))
    swap = replace(doing, decided=replace(doing.decided, view=seen(3, learner)))
    act._refuse_filled(swap, 1, seen(3, learner))
    for now in (seen(4), seen(2, learner)):
        with pytest.raises(Refused, match="voters by now"):
            act._refuse_filled(swap, 4 if len(now.voters) == 2 else 1, now)
    then = Promote(9, "m9", proof(9))
    act._refuse_without_heir(then, seen(3, learner))
    act._refuse_without_heir(None, seen(3))
    for now in (seen(3), seen(3, member(9))):
        with pytest.raises(Refused, match="no learner of this cluster any more"):
            act._refuse_without_heir(then, now)


def test_a_vote_is_not_owed_where_the_removal_was_refused(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note of it outlived the failure, and gave a vote against a later policy."""
    with piloted(three) as pilot:
        store = store_of(pilot)
        local.kill(three, "m2")

        def back() -> None:
            local.start(three, "m2")

        with before_the_removal(monkeypatch, back):
            assert until(pilot, lambda one: one.next.rule == "replace").failed
        assert store.read().owed is None
    assert roles(three)["m2"] == "voter"


def test_an_instance_whose_disk_is_full_lets_another_one_act(three: Home) -> None:
    """It kept the key, spent the budget of a day on tries that it could not begin, and the one beside it never acted."""

    def full(_kind: str, _fields: dict[str, object]) -> None:
        raise HostError("cannot open the journal: No space left on device")

    with three.access() as access:
        pilot = Autopilot(Cluster(access, three.seeds(), three.clock, three.report, full), policy=FAST)
        store = store_of(pilot)
        local.kill(three, "m2")
        assert "No space left" in until(pilot, lambda one: one.next.rule == "replace").failed
        found = until(pilot, lambda one: one.next.rule == "cannot-act")
        assert isinstance(found.next, Page) and "No space left" in found.next.why and not found.acts
        assert not store.read().spent and store.read().instance is None
        with piloted(three) as other:
            until(other, is_replaced)
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


@contextmanager
def begun_anew(home: Home, name: str) -> Iterator[None]:
    """A voter loses its data, and is started by hand as the first member of a cluster of its own: a classic accident."""
    peer = next(one.peer_url for one in home.load().members if one.name == name)
    words = home.runtime(name).command([(name, peer)])
    local.kill(home, name)
    shutil.rmtree(home.layout.member(name).data / "member")
    process = subprocess.Popen(
        [*words, "--initial-cluster-state=new", "--initial-cluster-token=anew"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_voter_that_was_begun_anew_is_one_that_does_not_answer(three: Home) -> None:
    """It ended every instance, whose endpoints lead to it, and each restart of them."""
    with piloted(three) as pilot:
        until(pilot, lambda one: one.acts)
        with begun_anew(three, "m2"):
            until(pilot, is_replaced, 60)
            with three.access() as access:
                # Who begins now does not know which cluster is meant, and says so instead of ending.
                late = Autopilot(Cluster(access, three.seeds(), three.clock, three.report), policy=FAST)
                wait_for(lambda: late.round().next.rule == "two-clusters", 10)
    assert {name for name, role in roles(three).items() if role == "voter"} == {"m1", "m3", "s1"}
