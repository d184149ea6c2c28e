"""From the members there are to the members wanted: the steps, and that none of them breaks an invariant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.absence import Absence
from quorate.core.actions import AddLearner, Done, Refuse, Remove
from quorate.core.decide_converge import ConvergeGoal, JoinNext, NextStep, RemoveNext, Wanted, after, decide_converge, steps
from quorate.core.invariants import Limits, Step, violations
from quorate.core.links import Links, pair
from quorate.core.membership import ClusterView, NoResponse, margin_of
from quorate.errors import PartlyDone, PreflightFailed, Refused
from quorate.etcd.membership.converge import Convergence
from unit.fakes import FakeClock
from unit.views import CLUSTER, member, url, view


def want(*numbers: int, accept: bool = False) -> ConvergeGoal:
    return ConvergeGoal(tuple(Wanted(f"m{number}", url(number)) for number in numbers), accept)


def dead(seen: ClusterView, *numbers: int) -> ClusterView:
    return replace(seen, replies={**seen.replies, **{number: NoResponse("dead") for number in numbers}})


def silent(seen: ClusterView) -> set[int]:
    """Those whose absence counts as proved here."""
    return {row.id for row in seen.members if seen.answer(row.id) is None}


def words(seen: ClusterView, goal: ConvergeGoal) -> list[str]:
    return [
        f"+{choice.member.name}" if isinstance(choice, JoinNext) else f"-{choice.member.name}"
        for choice in steps(seen, goal, silent(seen))
        if isinstance(choice, JoinNext | RemoveNext)
    ]


@pytest.mark.parametrize(
    ("there", "goal", "expected"),
    [
        (view(3), want(1, 2, 3), []),
        (view(1), want(1, 2, 3), ["+m2", "+m3"]),
        (view(3), want(1, 2, 4), ["+m4", "-m3"]),
        (view(3), want(4, 5, 6), ["+m4", "-m2", "+m5", "-m3", "+m6", "-m1"]),
        (view(4), want(1, 2, 3), ["-m4"]),
        (view(4), want(2, 3, 4, 5), ["-m1", "+m5"]),
        (dead(view(3), 3), want(1, 2, 4), ["-m3", "+m4"]),
        (view(3, member(9, learner=True)), want(1, 2, 3), ["-m9"]),
        (view(3, member(4, learner=True)), want(1, 2, 3, 4), ["+m4"]),
        (view(5), want(1, 2, 3, accept=True), ["-m4", "-m5"]),
    ],
)
def test_the_steps(there: ClusterView, goal: ConvergeGoal, expected: list[str]) -> None:
    assert words(there, goal) == expected
    assert list(steps(there, goal, silent(there)))[-1] == Done()


def test_another_name_for_a_listed_member_is_refused() -> None:
    """It was taken for done: the member at that URL is there, and keeps its name."""
    renamed = ConvergeGoal((*want(1, 2).wanted, Wanted("other", url(3))))
    choice = decide_converge(view(3), renamed)
    assert isinstance(choice, Refuse) and "is named m3, not other" in choice.why and choice.advice
    unstarted = view(2, member(3, learner=True, started=False))
    assert words(unstarted, renamed) == ["+other"], "who has not started has no name yet"


def test_one_look_of_silence_is_no_death() -> None:
    """The new one goes first, as for a live voter."""
    assert [type(one) for one in steps(dead(view(3), 3), want(1, 2, 4))][:1] == [JoinNext]


@pytest.mark.parametrize(
    ("there", "goal", "why"),
    [
        (view(3), want(), "the goal has no members"),
        (dead(view(3), 2, 3), want(1, 2, 4), "no quorum"),
        (view(5), want(1, 2, 3), "1 voter could fail then, instead of 2"),
        (view(3), ConvergeGoal((Wanted("m1", url(7)), Wanted("m2", url(2)), Wanted("m3", url(3)))), "already exists"),
    ],
)
def test_what_is_refused(there: ClusterView, goal: ConvergeGoal, why: str) -> None:
    (choice,) = [choice for choice in steps(there, goal) if isinstance(choice, Refuse)]
    assert why in choice.why and choice.advice


@given(
    voters=st.integers(1, 7),
    down=st.sets(st.integers(1, 7)),
    numbers=st.sets(st.integers(1, 9), min_size=1, max_size=7),
    learner=st.booleans(),
    accept=st.booleans(),
    proved=st.booleans(),
)
def test_no_step_breaks_an_invariant_and_the_end_is_reached(
    voters: int, down: set[int], numbers: set[int], learner: bool, accept: bool, proved: bool
) -> None:
    extra = (member(9, learner=True),) if learner else ()
    seen = dead(view(voters, *extra), *(number for number in down if number <= voters))
    goal = want(*sorted(numbers), accept=accept)
    for _ in range(40):
        gone = silent(seen) if proved else set[int]()
        choice = decide_converge(seen, goal, gone)
        if isinstance(choice, Done | Refuse):
            break
        action = (
            Remove(
                choice.member.id, named=True, absence=Absence(choice.member.id, "ended") if choice.member.id in gone else None
            )
            if isinstance(choice, RemoveNext)
            else AddLearner(choice.member.name, (choice.member.peer_url,))
        )
        # A removal of the leader looks at the links between the others first; here all of them work.
        following = [row.id for row in seen.voters if seen.follows(row.id)]
        up = frozenset(pair(one, other) for one, other in combinations(following, 2))
        known = replace(seen, links=Links(up))
        broken = list(violations(Step(known, action, Limits(CLUSTER, accept_reduced_tolerance=accept), 0.0)))
        taken_up = isinstance(choice, JoinNext) and seen.by_peer_urls((choice.member.peer_url,)) is not None
        assert broken == [] or taken_up, (choice, broken)
        before, seen = margin_of(seen), after(seen, choice)
        assert accept or margin_of(seen) >= before
    else:
        pytest.fail("it never ends")
    if isinstance(choice, Done):
        assert {row.peer_urls[0] for row in seen.voters} == {row.peer_url for row in goal.wanted} and not seen.learners


@dataclass
class World:
    """A cluster that does what it is told; `undermine` changes it after each step."""

    seen: ClusterView
    undermine: Callable[[ClusterView], ClusterView] = lambda seen: seen
    done: list[str] = field(default_factory=list[str])

    def towards(self, goal: ConvergeGoal) -> Convergence:
        return Convergence(
            goal,
            FakeClock(),
            lambda: self.seen,
            lambda _view, _goal: (),
            lambda _view, step: self.done.append(f"check {step.member.name}"),
            lambda row: self._take(JoinNext(row)),
            lambda gone: self._take(RemoveNext(gone, "")),
        )

    def _take(self, step: NextStep) -> None:
        self.done.append(f"{'join' if isinstance(step, JoinNext) else 'remove'} {step.member.name}")
        self.seen = self.undermine(after(self.seen, step))


def test_a_plan_whose_last_step_is_refused_is_not_begun() -> None:
    """It removed m4, and ended with the exit code of "nothing was changed"."""
    world = World(view(4))
    with pytest.raises(Refused, match="without m4, 0 voters could fail then, instead of 1") as refused:
        world.towards(want(1, 2)).run()
    assert (world.done, refused.value.exit_code, refused.value.state) == ([], 4, "nothing was changed")


def test_a_plan_with_a_member_that_no_join_would_add_is_not_begun() -> None:
    world = World(view(4))
    goal = ConvergeGoal((*want(1, 2, 3).wanted, Wanted("m9", "http://0.0.0.0:2380")))
    with pytest.raises(PreflightFailed, match="no other member can reach it"):
        world.towards(goal).run()
    assert world.done == []


def test_a_step_that_is_refused_after_others_does_not_end_with_nothing_changed() -> None:
    world = World(view(4), lambda seen: dead(seen, 1, 2))
    with pytest.raises(PartlyDone, match="there is no quorum") as ended:
        world.towards(want(1, 2, 5)).run()
    assert world.done == ["check m3", "remove m3"] and ended.value.exit_code == 1
    assert ended.value.state == "done before: removed m3"
    assert ended.value.as_dict()["code"] == "partly-done" and ended.value.as_dict()["reason"] == "refused"


def test_a_run_that_takes_all_its_steps_judges_the_plan_once() -> None:
    world = World(view(3))
    world.towards(want(1, 2, 4)).run()
    assert world.done == ["check m4", "join m4", "remove m3"]


def learners(*numbers: int) -> tuple[Wanted, ...]:
    return tuple(Wanted(f"m{number}", url(number), is_learner=True) for number in numbers)


def test_a_wanted_learner_that_is_one_stays_as_it_is() -> None:
    """The list of a cluster with a standby, as the goal, made a voter of it."""
    there = replace(view(3, member(9, learner=True)), standbys=frozenset({9}))
    goal = ConvergeGoal((*want(1, 2, 3).wanted, *learners(9)))
    assert list(steps(there, goal)) == [Done()]
    assert words(there, ConvergeGoal((*want(1, 2, 3, 4).wanted, *learners(9)))) == ["+m4"]


@pytest.mark.parametrize(
    ("goal", "why", "advice"),
    [
        ((*want(1, 2).wanted, *learners(3)), "m3 is wanted as a learner and is a voter", "add it as a standby"),
        ((*want(1, 2, 3).wanted, *learners(7)), "m7 is wanted as a learner and is no member", "quorate etcd add m7"),
        (learners(1, 2, 3), "the goal has no voters", "at least one voter"),
    ],
)
def test_a_wanted_learner_that_is_none_is_refused(goal: tuple[Wanted, ...], why: str, advice: str) -> None:
    decided = decide_converge(view(3), ConvergeGoal(goal))
    assert isinstance(decided, Refuse) and why in decided.why and advice in decided.advice


def test_a_step_says_that_it_is_about_a_standby() -> None:
    there = replace(view(3, member(9, learner=True)), standbys=frozenset({9}))
    removed, promoted = decide_converge(there, want(1, 2, 3)), decide_converge(there, want(1, 2, 3, 9))
    assert isinstance(removed, RemoveNext) and removed.why == "a standby of the autopilot that is not wanted"
    assert isinstance(promoted, JoinNext) and promoted.listed == member(9, learner=True)
    assert promoted.as_dict()["action"] == "promote" and promoted.why == "a standby of the autopilot"
