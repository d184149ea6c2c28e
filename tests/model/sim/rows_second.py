"""Rows of the second attack, as worlds: link evidence beside the dead, proofs that are old, unknown votes, long ways.
Each returns its scene, run and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from model.sim import faults
from model.sim.engine import Cluster
from model.sim.scene import Scene, Verb, scene
from model.sim.script import before, scripted
from model.sim.world import Fate, Point

PATIENT_SECONDS = 12.0
_POINTS_OF_A_LONG_WAIT = 150_000


def _linked_to_the_leader_only(verb: Verb, voters: int, version: str = "3.6.16") -> Scene:
    """The joiner reaches n1, which leads, and none of the other voters that live."""
    one = scene(verb, voters=voters, version=version)
    one.stall_seconds, one.most_points = PATIENT_SECONDS, _POINTS_OF_A_LONG_WAIT
    one.cluster.cut(one.joiner, [one.cluster.machines[f"n{number}"] for number in range(2, min(voters, 4) + 1)])
    return one


def _gets_no_vote(one: Scene, row: str) -> Scene:
    ending = one.run()
    if one.cluster.is_voter(one.joiner):
        one.world.witness.fail(f"{row}: it got its vote, and reaches the leader only: {ending}")
    return one


def a3_a_dead_voter_switches_off_what_links_prove(verb: Verb, version: str) -> Scene:
    """Of five voters one is dead: the leader and two others are enough, the leader's death is not."""
    one = _linked_to_the_leader_only(verb, 5, version)
    one.cluster.kill(one.cluster.machines["n5"])
    one.world.clock.move(3.0)
    return _gets_no_vote(one, "A3")


def a3_a_silent_voter_switches_off_what_links_prove() -> Scene:
    """The fifth voter lives, and answers neither us nor the joiner."""
    one = _linked_to_the_leader_only("add", 5)
    one.cluster.cut(one.joiner, [one.cluster.machines["n5"]])
    one.cluster.machines["n5"].cut_from_tool = True
    one.world.clock.move(3.0)
    return _gets_no_vote(one, "A3 silent")


def a3_a_hiccup_switches_off_what_links_prove(seconds: float, behind: float) -> Scene:
    """Of three voters one stands still for a moment, some time behind the joiner's first answer."""
    one = _linked_to_the_leader_only("add", 3)
    begun: list[float] = []
    done: list[float] = []

    def stand_still(_point: Point) -> Fate:
        now = one.world.clock.world
        if one.joiner.serves_at is not None and not begun:
            begun.append(now)
        if begun and not done and now - begun[0] > behind:
            done.append(now)
            one.world.fault("n3 stands still")
            one.cluster.pause(one.cluster.machines["n3"], seconds)
        return ""

    one.world.hook = stand_still
    _gets_no_vote(one, "A3 hiccup")
    if not done:
        one.world.witness.fail("A3 hiccup: shows nothing, n3 never stood still")
    return one


def b1_takes_a_voter_for_dead_that_others_hear(cut_from: Sequence[str], voters: int, version: str) -> Scene:
    """The last voter reaches neither us nor `cut_from`, and is linked to the others; nobody consented to less tolerance."""
    one = scene("remove", voters=voters, version=version)
    one.old, one.stall_seconds = f"n{voters}", 60.0
    gone = one.cluster.machines[one.old]
    one.cluster.cut(gone, [one.cluster.machines[name] for name in cut_from])
    gone.cut_from_tool = True
    one.world.clock.move(4.0)
    one.run()
    if one.world.witness.effects:
        one.world.witness.fail(f"B1: it lives and is heard, and was removed as dead: {one.last}")
    return one


def b2_removes_who_came_back_on_the_old_proof(version: str, fate: Fate) -> Scene:
    """The dead fifth voter starts again when its removal is sent, which is not carried out."""
    one = scene("remove", voters=5, version=version)
    one.old, one.stall_seconds = "n5", 40.0
    dead = one.cluster.machines["n5"]
    one.cluster.kill(dead)
    one.world.clock.move(3.0)

    def comes_back(one: Scene) -> Fate:
        one.cluster.start(dead)
        return fate

    scripted(one, (before("MemberRemove"), comes_back))
    one.run()
    if one.world.witness.effects:
        one.world.witness.fail(f"B2: it had come back, and was removed without consent: {one.last}")
    return one


def c2_says_kept_of_a_vote_that_is_unknown(*, keep: bool) -> Scene:
    """The promotion has no answer, nobody can be asked, Ctrl-C; with and without `--keep-on-failure`."""

    def no_answer(one: Scene) -> Fate:
        for name in ("n1", "n2", "n3"):
            one.cluster.pause(one.cluster.machines[name], 60.0)
        faults.interrupt(one)
        return "lost"

    one = scripted(_Keeping.of(scene(), keep=keep), (before("MemberPromote"), no_answer))
    ending = one.run()
    outcomes = [told["outcome"] for told in ending.error.outcomes] if ending.error else []
    code = ending.error.exit_code if ending.error else 0
    if outcomes != ["vote-unknown"] or code != 5:
        one.world.witness.fail(f"C2: whether it has a vote is not known; said was {outcomes}, exit {code}: {ending}")
    return one


class _Keeping(Scene):
    """A scene whose tool may be told to leave the learner where it is when the join fails."""

    keep: bool = False

    @classmethod
    def of(cls, one: Scene, *, keep: bool) -> _Keeping:
        kept = cls(one.world, one.cluster, one.verb, one.joiner, one.seeds)
        kept.keep = keep
        return kept

    def tool(self) -> Cluster:
        built = super().tool()
        return replace(built, policy=replace(built.policy, keep_on_failure=self.keep))


def d1_a_long_way_keeps_a_join_from_ending(verb: Verb, round_trip: float, *, everybody: bool) -> Scene:
    """The joiner, or every member, is so far away from us; nothing else is in the way."""
    one = scene(verb)
    one.stall_seconds = 30.0
    for machine in one.cluster.machines.values() if everybody else [one.joiner]:
        machine.delay = round_trip / 2
    ending = one.run()
    if not ending.ok:
        one.world.witness.fail(f"D1: {round_trip} s there and back, and the join ended in {ending}")
    return one


_VERBS_AND_VERSIONS: tuple[tuple[Verb, str], ...] = (("add", "3.4.23"), ("add", "3.6.16"), ("join", "3.4.23"))

ROWS: dict[str, Callable[[], Scene]] = {
    **{
        f"A3 dead, {verb}, {version}": partial(a3_a_dead_voter_switches_off_what_links_prove, verb, version)
        for verb, version in _VERBS_AND_VERSIONS
    },
    "A3 silent": a3_a_silent_voter_switches_off_what_links_prove,
    **{
        f"A3 hiccup of {seconds} s behind {behind} s": partial(a3_a_hiccup_switches_off_what_links_prove, seconds, behind)
        for seconds, behind in ((3.0, 1.0), (3.0, 4.0), (3.0, 9.0))
    },
    **{
        f"B1 of {voters}, {version}": partial(b1_takes_a_voter_for_dead_that_others_hear, ("n1",), voters, version)
        for voters in (3, 5)
        for version in ("3.4.23", "3.6.16")
    },
    **{
        f"B2 {fate}, {version}": partial(b2_removes_who_came_back_on_the_old_proof, version, fate)
        for fate in ("lost", "broken")
        for version in ("3.4.23", "3.6.16")
    },
    "C2": partial(c2_says_kept_of_a_vote_that_is_unknown, keep=False),
    "C2 kept": partial(c2_says_kept_of_a_vote_that_is_unknown, keep=True),
    **{
        f"D1 {way}, {verb}, {round_trip} s": partial(
            d1_a_long_way_keeps_a_join_from_ending, verb, round_trip, everybody=way == "everybody"
        )
        for way in ("learner", "everybody")
        for verb in ("add", "join")
        for round_trip in (0.2, 0.26, 0.28, 0.32, 0.38, 0.45, 0.6)
    },
}
