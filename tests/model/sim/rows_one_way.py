"""Rows of links that are cut in one direction only, as worlds. Each returns its scene, run and judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from model.sim import faults
from model.sim.scene import Scene, Verb, scene
from model.sim.script import both, noted, scripted
from model.sim.world import Fate, Point

_PATIENT_SECONDS = 14.0
_POINTS = 150_000


def _cut_when(one: Scene, holds: Callable[[], bool], sender: str, receiver: str) -> list[float]:
    """Has what `sender` says lost on its way to `receiver` from the first moment on that is as `holds` says."""
    done: list[float] = []

    def look(_point: Point) -> Fate:
        if not done and holds():
            done.append(one.world.clock.world)
            one.world.fault(f"{receiver} does not hear {sender} any more")
            machines = one.cluster.machines
            one.cluster.cut(machines[receiver], [machines[sender]], outbound=False)
        return ""

    one.world.hook = look
    return done


def ow1_the_leader_does_not_hear_the_learner(voters: int) -> Scene:
    """It applies all that the leader sends, for seconds. One voter promoted it, and there was no quorum any more."""
    one = scene("add", voters=voters)
    one.stall_seconds, one.most_points = _PATIENT_SECONDS, _POINTS
    done = _cut_when(one, lambda: one.joiner.serves_at is not None, one.joiner.name, "n1")
    ending = one.run()
    if not done or one.cluster.is_voter(one.joiner):
        one.world.witness.fail(f"OW1: it got its vote, and the leader does not hear it: {ending}")
    return one


def ow4_a_living_voter_that_only_the_leader_does_not_hear(verb: Verb) -> Scene:
    """It hears the leader, so it does not campaign; the others hear its link heartbeats, which carry no name."""
    one = scene(verb, voters=5)
    one.stall_seconds, one.most_points = _PATIENT_SECONDS, _POINTS
    quiet = one.cluster.machines["n5"]
    one.cluster.cut(one.cluster.machines["n1"], [quiet], outbound=False)
    quiet.cut_from_tool = True
    one.world.clock.move(6.0)
    one.old = quiet.name
    ending = one.run()
    if ending.ok:
        one.world.witness.fail(f"OW4: a voter that lives was removed as dead: {ending}")
    return one


def ow5_one_cut_between_followers(receiver: str, sender: str) -> Scene:
    """A link that works counted as cut before the removal: n4 left without consent, and the margin was lower."""
    one = scene("remove", voters=4)
    one.stall_seconds, one.most_points = _PATIENT_SECONDS, _POINTS
    machines = one.cluster.machines
    one.cluster.cut(machines[receiver], [machines[sender]], outbound=False)
    one.world.clock.move(10.0)
    one.old = "n4"
    ending = one.run()
    if ending.ok:
        one.world.witness.fail(f"OW5: it was removed although fewer may fail: {ending}")
    return one


def _cut_from_followers(one: Scene) -> None:
    followers = [machine for machine in one.cluster.machines.values() if machine.name not in ("n1", one.joiner.name)]
    one.cluster.cut(one.joiner, followers)


def ow7_links_are_cut_while_the_tool_stands_still(seconds: float) -> Scene:
    """Between the decision and the last look: what is not known any more was assumed, and only the leader reached the voter."""
    one = scene("add", voters=3)
    one.stall_seconds, one.most_points = _PATIENT_SECONDS, _POINTS
    scripted(one, (noted("intent promote"), both(_cut_from_followers, partial(faults.stand_still, seconds=seconds))))
    ending = one.run()
    if one.cluster.is_voter(one.joiner):
        one.world.witness.fail(f"OW7: it got its vote, and reaches the leader only: {ending}")
    return one


ROWS: dict[str, Callable[[], Scene]] = {
    **{f"OW1 {voters} voters": partial(ow1_the_leader_does_not_hear_the_learner, voters) for voters in (1, 2, 3)},
    **{f"OW7 {seconds} s": partial(ow7_links_are_cut_while_the_tool_stands_still, seconds) for seconds in (5.0, 8.0, 20.0)},
    "OW4": partial(ow4_a_living_voter_that_only_the_leader_does_not_hear, "remove"),
    "OW5": partial(ow5_one_cut_between_followers, "n3", "n2"),
}
