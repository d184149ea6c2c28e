"""Drills of the autopilot on real etcd, with a writer beside them: seats, zones, alarms, losses together, services."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from conftest import MakeHome, RunCli, engine
from prometheus_client.parser import text_string_to_metric_families
from writer import writing

from quorate.core.autopilot.case import Act, Memory
from quorate.deadline import Deadline, SystemClock, wait_until
from quorate.etcd.autopilot import act
from quorate.etcd.autopilot.loop import Round
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import autopilot_records as records
from quorate.local import cluster as local
from quorate.local import grow
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from real.systemd_lab import Lab, systemd_lab
from real.test_autopilot import FAST, piloted, roles, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.fixture
def three(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    return home


def did(found: Round) -> list[str]:
    assert found.orders is not None
    return [entry.did for entry in found.orders.log]


def test_a_join_that_waits_gets_the_seat_of_the_standby(make_home: MakeHome) -> None:
    """On 3.5 there is one seat. The standby goes, the join gets through, and then a standby is missing."""
    home, etcd = make_home(), engine("etcd-3.5")
    local.up(home, 3, etcd)
    join_as_standby(home, "s1", etcd, occupy_the_seat=True)

    def join() -> None:
        """As `quorate etcd add` does, in the queue of joins."""
        joiner = grow.prepare(home, "m4", etcd)
        with home.access() as access:
            cluster = Cluster(access, home.seeds(), home.clock, home.report)
            cluster.join(grow.spec_of(home, joiner), home.runtime("m4"))

    joined = threading.Thread(target=join, daemon=True)
    with piloted(home, replace(FAST, promote="owned")) as pilot:
        joined.start()
        found = until(pilot, lambda one: one.next.rule == "yield-seat")
        assert isinstance(found.next, Act) and not found.failed, found
        joined.join(60)
        assert not joined.is_alive()
        last = until(pilot, lambda one: one.next.rule in ("provide", "too-few-standbys"))
    assert roles(home) == {"m1": "voter", "m2": "voter", "m3": "voter", "m4": "voter"}
    assert "remove-standby" in did(last)


def test_a_vote_moves_to_the_zone_that_has_none(three: Home) -> None:
    """In three rounds: the vote, leadership where it has to, the voter that goes. At no moment are there fewer voters."""
    zones = (("m1", "a"), ("m2", "a"), ("m3", "b"), ("s1", "c"))
    with piloted(three, replace(FAST, zones=zones, per=1.0)) as pilot, writing(three):
        seen: list[int] = []

        def is_spread(found: Round) -> bool:
            assert not found.failed, found.failed
            if found.view is not None:
                seen.append(len(found.view.voters))
            return "remove" in did(found)

        until(pilot, is_spread)
    left = roles(three)
    assert left.pop("s1") == "voter" and len(left) == 2 and "m3" in left
    assert set(seen) <= {3, 4}


def test_a_change_of_zones_that_was_cut_off_is_finished_by_another_instance(
    three: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = replace(FAST, zones=(("m1", "a"), ("m2", "a"), ("m3", "b"), ("s1", "c")), per=1.0)
    with piloted(three, policy) as pilot:
        found = until(pilot, lambda one: one.next.rule == "spread")
        assert not found.failed
    assert roles(three)["s1"] == "voter" and len(roles(three)) == 4
    with piloted(three, policy) as other:
        until(other, lambda one: "remove" in did(one))
    assert len(roles(three)) == 3


def test_two_voters_that_are_lost_together_are_not_replaced(make_home: MakeHome, etcd36: str) -> None:
    home = make_home()
    local.up(home, 5, etcd36)
    join_as_standby(home, "s1", etcd36)
    with piloted(home, replace(FAST, voters=5)) as pilot:
        local.kill(home, "m2")
        local.kill(home, "m3")
        until(pilot, lambda one: one.next.rule == "brake")
        clock = home.clock
        deadline = Deadline(clock, 3 * FAST.window, "the limit")
        while not deadline.expired:
            assert pilot.round().next.rule == "brake"
    assert set(roles(home)) == {"m1", "m2", "m3", "m4", "m5", "s1"}


def test_a_standby_that_dies_between_the_two_steps_costs_nothing_more(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of two voters are left, as before; and it is promoted once it is back."""
    promote = act._promote

    def killed(*given: object) -> None:
        local.kill(three, "s1")
        promote(*given)  # type: ignore[arg-type]

    with piloted(three) as pilot:
        local.kill(three, "m2")
        with monkeypatch.context() as patched:
            patched.setattr(act, "_promote", killed)
            assert until(pilot, lambda one: one.next.rule == "replace").failed
        assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "learner"}
        assert pilot.round().next.rule != "replace"
        local.up(three)
        done = until(pilot, lambda one: one.next.rule == "grow")
        assert not done.failed
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


# -- as users run it ---------------------------------------------------------------------------------------------------


@contextmanager
def daemon(home: Home, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`autopilot run` as a process; yields it, and where it serves."""
    command = [sys.executable, "-m", "quorate", "autopilot", "run", "--dir", str(home.layout.root), "--listen", "127.0.0.1:0"]
    run = subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert run.stderr is not None
    with run.stderr as log:
        try:
            place = next(found[1] for line in log if (found := re.search(r"serving (http://\S+)/metrics", line)))
            reading = threading.Thread(target=log.read)
            reading.start()
            yield run, place
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait(20)
        reading.join()


def metrics(place: str) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(f"{place}/metrics", timeout=10) as page:
        families = text_string_to_metric_families(page.read().decode())
    return {(row.name, *row.labels.values()): row.value for family in families for row in family.samples}


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    clock = SystemClock()
    wait_until(holds, clock=clock, deadline=Deadline(clock, seconds, "what a page shows"), every=0.2)


def test_the_daemon_serves_what_it_sees(three: Home) -> None:
    with daemon(three) as (run, place):
        eventually(lambda: metrics(place).get(("quorate_autopilot_leader",)) == 1.0)
        seen = metrics(place)
        assert seen[("quorate_cluster_margin_members",)] == 1.0
        assert seen["quorate_members", "standby"] == 1.0
        with urllib.request.urlopen(f"{place}/readyz", timeout=10) as answer:
            assert answer.status == 200
        local.kill(three, "m2")
        eventually(lambda: metrics(place)[("quorate_cluster_margin_members",)] == 0.0)
        assert any(key[0] == "quorate_member_up" and value == 0.0 for key, value in metrics(place).items())
        assert run.poll() is None


def test_a_daemon_that_stands_still_is_not_alive(three: Home) -> None:
    """Its server answers from threads of its own; `/livez` tells that no look has ended."""
    with daemon(three) as (run, place):
        eventually(lambda: metrics(place).get(("quorate_autopilot_leader",)) == 1.0)
        for name in ("m1", "m2", "m3"):
            local.kill(three, name)
        with urllib.request.urlopen(f"{place}/livez", timeout=10) as answer:
            assert answer.status == 200, "a cluster that is down is no fault of the daemon"
        eventually(lambda: _status(f"{place}/readyz") == 503)
        local.up(three)
        eventually(lambda: _status(f"{place}/readyz") == 200)
        assert run.poll() is None


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_runs_as_a_service(three: Home, cli: RunCli) -> None:
    """Ready after its first look, restarted when it hangs, and out of the way when it is stopped."""
    made = cli("autopilot", "unit", "--dir", str(three.layout.root), "--listen", "127.0.0.1:0")
    assert made.returncode == 0, made.stderr
    # The lab's program is this interpreter; two minutes of watchdog are a long test.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable} -m quorate", made.stdout, flags=re.MULTILINE)
    text = text.replace("WatchdogSec=120", "WatchdogSec=5").replace("RestartSec=5", "RestartSec=1")
    with systemd_lab(f"quorate-pilot-{os.getpid()}") as lab:
        (lab.units / "quorate-autopilot.service").write_text(text)
        assert lab.run("systemctl", "daemon-reload").returncode == 0
        started = lab.run("systemctl", "start", "quorate-autopilot")
        assert started.returncode == 0, started.stderr
        assert lab.property("quorate-autopilot", "ActiveState") == "active"
        first = int(lab.property("quorate-autopilot", "MainPID"))
        # The lab has pids of its own.
        lab.run("kill", "-STOP", str(first))
        eventually(lambda: _restarted(lab, first), 60)
        assert lab.run("systemctl", "stop", "quorate-autopilot").returncode == 0
        assert lab.property("quorate-autopilot", "ActiveState") == "inactive"


def _restarted(lab: Lab, first: int) -> bool:
    now = int(lab.property("quorate-autopilot", "MainPID") or 0)
    return now not in (0, first) and lab.property("quorate-autopilot", "ActiveState") == "active"


# -- what happens between the decision and its steps -------------------------------------------------------------------


@contextmanager
def before_the_removal(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> Iterator[None]:
    """Does something once, directly before the autopilot's removal begins."""
    remove, done = act._remove, list[bool]()

    def removing(*given: object) -> None:
        if not done:
            done.append(True)
            deed()
        remove(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(act, "_remove", removing)
        yield


def test_a_standby_that_has_a_vote_by_now_does_not_give_up_its_seat(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator promoted it between the decision and the removal: a live voter was removed."""
    home, etcd = make_home(), engine("etcd-3.6")
    local.up(home, 3, etcd)
    join_as_standby(home, "s1", etcd)

    def promoted() -> None:
        with home.access() as access:
            cluster = Cluster(access, home.seeds(), home.clock, home.report)
            cluster.promote("s1")

    with piloted(home) as pilot:
        monkeypatch.setattr(type(pilot.observer), "memory", _waiting(type(pilot.observer).memory))
        with before_the_removal(monkeypatch, promoted):
            found = until(pilot, lambda one: one.next.rule == "yield-seat")
    assert "voter" in found.failed
    assert roles(home)["s1"] == "voter"


def _waiting(memory: Callable[..., Memory]) -> Callable[..., Memory]:
    return lambda *given: replace(memory(*given), waiting=("m9",))


def test_a_pause_that_comes_behind_the_decision_counts(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three) as pilot:
        local.kill(three, "m2")

        def paused() -> None:
            assert pilot._key is not None
            pilot._key.store.pause(60, "firmware")

        with before_the_removal(monkeypatch, paused):
            found = until(pilot, lambda one: one.next.rule == "replace")
        assert "paused" in found.failed
        assert roles(three)["m2"] == "voter"
        assert pilot.round().next.rule == "paused"


def test_an_order_of_a_host_whose_clock_is_behind_holds(three: Home) -> None:
    """Its end was past for everybody else: the pause held nobody, and said that it did."""
    with piloted(three) as pilot:
        pilot.round()
        assert pilot._key is not None
        store = pilot._key.store
        store._put(records.PAUSE, store._order(store.clock.wall() - 900, 4.0, "firmware"), store._lease_of(4.0))
        assert pilot.round().next.rule == "paused"
        until(pilot, lambda one: one.next.rule == "nothing")


def test_the_budget_outlives_the_log(three: Home) -> None:
    """Two hundred entries of orders pushed the replacement out of it, and a second voter was replaced."""
    with piloted(three, replace(FAST, per=3600.0, day=1)) as pilot:
        local.kill(three, "m2")
        until(pilot, lambda one: one.next.rule == "replace" and not one.failed)
        assert pilot._key is not None
        for number in range(records.KEPT + 5):
            pilot._key.store.note("hold", number=number)
        assert "replace" not in did(pilot.round())
        local.kill(three, "m3")
        until(pilot, lambda one: one.next.rule == "budget")
    assert roles(three)["m3"] == "voter"
