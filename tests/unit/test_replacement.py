"""Which half of a replacement goes first, and what is no replacement at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from quorate.core.absence import Absence
from quorate.core.membership import ClusterView, Member, NoResponse
from quorate.core.outcome import Joined
from quorate.errors import ConfigError, HostError, PartlyDone, Refused
from quorate.etcd.coordination.replacements import Replacements
from quorate.etcd.membership.remove import Removal
from quorate.etcd.membership.replacement import Replacement
from unit.fakes import FakeAccess, FakeClock, cluster, where
from unit.views import CLUSTER, member, url, view


@dataclass
class Steps:
    """What a replacement does with `seen`, in order."""

    access: FakeAccess
    seen: ClusterView = field(default_factory=lambda: view(3))
    dead: bool = False
    consent: bool = False
    log: list[str] = field(default_factory=list[str])

    def replacement(self) -> Replacement:
        records = Replacements(self.access, [where(1)], FakeClock(), CLUSTER, url(9))
        return Replacement(
            records,
            lambda: self.seen,
            self._absence,
            lambda one, absence: self._removal(one, "dead" if absence or not self.dead else "unproved"),
            lambda one, succession: self._removal(one, f"live for {succession.member_id}, margin {succession.margin}:"),
            self.consent,
        )

    def _absence(self, target: Member) -> Absence | None:
        self.log.append(f"watch {target.name}")
        return Absence(target.id, "silent", 10, 20) if self.dead else None

    def _removal(self, target: Member, how: str) -> Removal:
        log = self.log

        class Logged:
            def run(self) -> None:
                log.append(f"remove {how} {target.name}")

        return cast("Removal", Logged())

    def join(self) -> Joined:
        self.log.append("join")
        return Joined("m9", 9)

    def run(self, old: str) -> list[str]:
        self.replacement().run(old, self.join, lambda: None)
        return self.log


@pytest.fixture
def steps() -> Iterator[Steps]:
    with FakeAccess(cluster(1)) as access:
        yield Steps(access)


def test_a_live_voter_is_replaced_when_the_new_one_serves(steps: Steps) -> None:
    assert steps.run("m3") == ["join", "remove live for 9, margin 1: m3"]


def test_a_voter_takes_nobodys_place(steps: Steps) -> None:
    """A loop of replacements that forgot to change NEW: each took a live voter of three away (J1)."""
    steps.seen = view(2, member(9))
    with pytest.raises(Refused, match="m9 is a voter already, so nothing would take the place of m2"):
        steps.run("m2")
    assert steps.log == []
    steps.consent = True
    assert steps.run("m2")[-1].endswith("m2")


def test_a_replacement_that_is_continued_keeps_the_margin_from_before_it(steps: Steps) -> None:
    """Of 4 voters one may fail, of the 5 in its middle two: it would refuse its own second half."""
    steps.replacement().records.began(member(3), "m3", 1)
    steps.seen = view(4, member(9))
    assert steps.run("m3") == ["join", "remove live for 9, margin 1: m3"]


def test_a_dead_voter_goes_first(steps: Steps) -> None:
    steps.seen = replace(steps.seen, replies={**steps.seen.replies, 3: NoResponse("gone")})
    steps.dead = True
    assert steps.run("m3") == ["watch m3", "remove dead m3", "join"]


def test_a_silent_voter_that_is_not_dead_goes_last(steps: Steps) -> None:
    steps.seen = replace(steps.seen, replies={**steps.seen.replies, 3: NoResponse("gone")})
    assert steps.run("m3") == ["watch m3", "join", "remove live for 9, margin 0: m3"]


def test_a_learner_goes_first_for_it_holds_the_seat(steps: Steps) -> None:
    steps.seen = view(3, member(8, learner=True))
    assert steps.run("m8") == ["remove dead m8", "join"]


@pytest.mark.parametrize("old", ["m33", "", "77"])
def test_a_replacement_of_nobody_is_refused(steps: Steps, old: str) -> None:
    """A mistyped name joined somebody (fault K1r)."""
    with pytest.raises(ConfigError):
        steps.run(old)
    assert steps.log == []


def test_a_replacement_of_several_is_refused(steps: Steps) -> None:
    steps.seen = view(3, replace(member(4), name="m3"))
    with pytest.raises(ConfigError, match="names several members"):
        steps.run("m3")
    assert steps.log == []


def test_a_member_does_not_replace_itself(steps: Steps) -> None:
    steps.seen = view(3, member(9))
    with pytest.raises(ConfigError, match="cannot replace itself"):
        steps.run("m9")


def test_the_same_command_continues_when_the_old_member_is_gone(steps: Steps) -> None:
    steps.replacement().records.began(member(3), "m3", 1)
    steps.seen = view(2)
    assert steps.run("m3") == ["join"]


def test_a_replacement_writes_what_it_replaces_before_its_first_change(steps: Steps) -> None:
    steps.seen = view(3, member(8, learner=True))

    def failing() -> Joined:
        raise HostError("no")

    with pytest.raises(HostError) as failed:
        steps.replacement().run("m8", failing, lambda: None)
    assert steps.replacement().records.is_about("m8") and "was removed before" in failed.value.state


@pytest.mark.parametrize("old", ["m3", "m8"])
def test_a_replacement_checks_the_join_before_its_first_change(steps: Steps, old: str) -> None:
    steps.seen = view(3, member(8, learner=True))

    def check() -> None:
        raise HostError("the port is taken")

    with pytest.raises(HostError):
        steps.replacement().run(old, steps.join, check)
    assert steps.log == [] and not steps.replacement().records.is_about(old)


def test_a_replacement_on_a_local_list_is_refused(steps: Steps) -> None:
    """It may lack the member, or show one that is gone."""
    steps.seen = replace(steps.seen, linearizable=False)
    with pytest.raises(Refused, match="read through the quorum"):
        steps.run("m3")
    assert steps.log == []


def test_the_second_half_that_is_refused_does_not_end_with_nothing_changed(steps: Steps) -> None:
    """Exit code 4 means that nothing was changed: the other half was."""
    steps.seen = replace(steps.seen, replies={**steps.seen.replies, 3: NoResponse("gone")})
    steps.dead = True

    def refused() -> Joined:
        raise Refused("another join has the seat", state="nothing was changed", advice="wait for it")

    with pytest.raises(PartlyDone, match="another join has the seat") as ended:
        steps.replacement().run("m3", refused, lambda: None)
    assert (ended.value.exit_code, ended.value.state, ended.value.advice) == (1, "m3 was removed before", "wait for it")
    assert [one["outcome"] for one in ended.value.outcomes] == ["removed"]
