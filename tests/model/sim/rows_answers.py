"""Rows of the fault sheet about wrong words, denial and nuisance, as worlds. Each returns its scene, run and judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from model.sim import faults, rules
from model.sim.machine import machine
from model.sim.scene import STALL_SECONDS, Scene, scene
from model.sim.script import after, before, scripted, serving
from model.sim.world import Point, World
from quorate.errors import ConfigError, PreflightFailed, Refused

_CLOSED = "http://127.0.0.1:1"


def _must_succeed(one: Scene, row: str) -> Scene:
    ending = one.run()
    if not ending.ok:
        one.world.witness.fail(f"{row}: nothing was in the way of an end with success, and it ended in {ending}")
    return one


def _kill(name: str) -> Callable[[Scene], None]:
    return lambda one: one.cluster.kill(one.cluster.machines[name])


def c1_a_finished_join_ends_in_an_error() -> Scene:
    """The first leader dies when the joiner has its vote."""
    return _must_succeed(scripted(scene(), (after("MemberPromote"), _kill("n1"))), "C1")


def c2_a_repair_that_worked_ends_in_nothing_was_changed() -> Scene:
    """The joiner is a voter of two already, and stopped: the join starts it, and with it there is a quorum again."""
    world = World()
    joiner = machine("new")
    cluster = world.cluster("3.6.16", [machine("n1"), joiner])
    joiner.starts = 1
    cluster.kill(joiner)
    world.clock.move(5.0)
    return _must_succeed(Scene(world, cluster, "join", joiner, ["n1:2379"]), "C2")


def p1_a_hiccup_of_the_leader_undoes_a_join() -> Scene:
    """The only voter stands still for 1.3 s when the proof begins."""
    one = scripted(scene(voters=1), (serving, partial(faults.pause, who=faults.WHO["leader"], seconds=1.3)))
    return _must_succeed(one, "P1")


def _voter_deletes(one: Scene, point: Point) -> bool:
    return one.cluster.is_voter(one.joiner) and (point.when, point.what) == ("before", "DeleteRange")


def p1b_a_hiccup_behind_a_finished_join() -> Scene:
    """The new voter stands still for 1.3 s when the proof's key is deleted."""
    one = scripted(scene(), (_voter_deletes, partial(faults.pause, who=faults.WHO["joiner"], seconds=1.3)))
    return _must_succeed(one, "P1b")


def g1_asks_only_who_it_removed() -> Scene:
    """The member that is removed is the one endpoint given."""
    one = scene("remove", seeds=["n3:2379"])
    one.consent = True
    return _must_succeed(one, "G1")


def y1_promotes_what_it_can_never_verify() -> Scene:
    """Two of three voters advertise an address that leads nowhere."""
    one = scene(advertised={"n2": (_CLOSED,), "n3": (_CLOSED,)}, seeds=["n1:2379"])
    ending = one.run()
    if not ending.ok and one.cluster.is_voter(one.joiner):
        one.world.witness.fail(f"Y1: it was promoted, and then it could not be verified: {ending}")
    return one


def a1_no_quorum_of_a_healthy_cluster() -> Scene:
    """All advertise an address that leads nowhere, and answer at the endpoints given."""
    return _must_succeed(scene(advertised={f"n{number}": (_CLOSED,) for number in (1, 2, 3)}), "A1")


def d1_a_joiner_far_away_never_joins() -> Scene:
    """Its client port is 100 ms away."""
    one = scene()
    one.joiner.delay = 0.05
    return _must_succeed(one, "D1")


def e1_knows_only_the_endpoint_it_was_given() -> Scene:
    """The one endpoint, a follower, dies; the others are named in every list."""
    one = scripted(scene(seeds=["n2:2379"]), (after("MemberAdd"), _kill("n2")))
    ending = one.run()
    left = one.world.witness.registered & {row.id for row in one.cluster.state.learners}
    if not ending.ok and left:
        one.world.witness.fail(f"E1: the learner keeps the seat, though the cluster was there to be asked: {ending}")
    return one


def w1_who_waits_fails_with_the_first_leader() -> Scene:
    """A run that was killed holds its place for ten seconds; meanwhile the leader dies. Of four, so etcd adds beside it."""
    one = scripted(scene(voters=4), (before("MemberAdd"), faults.kill_tool))
    one.run()
    one.world.hook = lambda _point: ""
    one.world.clock.after(3.0, lambda: one.cluster.kill(one.cluster.machines["n1"]))
    return _must_succeed(one, "W1")


def t1_a_flapping_etcd_is_progress() -> Scene:
    """Its supervisor starts it again and again; it never gets anywhere."""
    one = scene()
    began = one.world.clock.world

    def again() -> None:
        if one.joiner.condition == "running" and one.world.clock.world - began < 120.0:
            one.cluster.kill(one.joiner)
            one.cluster.start(one.joiner)
        one.world.clock.after(0.04, again)

    one.world.clock.after(0.04, again)
    ending = one.run()
    took = one.world.clock.world - began
    if took > 5 * STALL_SECONDS:
        one.world.witness.fail(f"T1: with a limit of {STALL_SECONDS:g} s without progress it took {took:.0f} s: {ending}")
    return one


def u2p_says_as_before_of_a_listed_learner() -> Scene:
    """An operator corrects the peer URL of our learner, and no more."""
    one = scripted(scene(), (serving, partial(faults.operate, what=faults.update_ours)))
    one.run()
    return one


def i1_a_url_in_capitals_is_not_recognised() -> Scene:
    """Somebody registered the learner at HTTP://NEW; the same text is given to us."""
    one = scene("add")
    one.joiner.peer_urls = ("http://NEW:2380", "http://new:2380")
    rules.add(one.cluster, ("http://NEW:2380",), learner=True)
    return _must_succeed(one, "I1")


def m1_a_second_peer_url() -> Scene:
    """The learner has two peer URLs, and the second one is given."""
    one = scene("add")
    one.joiner.peer_urls = ("http://new:2380", "http://new-a:2380")
    rules.add(one.cluster, ("http://new-a:2380", "http://new:2380"), learner=True)
    ending = one.run()
    if not ending.ok and not isinstance(ending.error, Refused | PreflightFailed | ConfigError):
        one.world.witness.fail(f"M1: neither taken up nor refused at once: {ending}")
    return one


def k1r_replaces_a_member_that_is_none() -> Scene:
    """OLD is a typing error."""
    one = scene("replace")
    one.old = "n33"
    ending = one.run()
    if one.world.witness.effects:
        one.world.witness.fail(f"K1r: no member is named {one.old}, and members were changed: {ending}")
    return one


def n1_a_name_that_etcd_cannot_take() -> Scene:
    """A name with the signs that --initial-cluster is made of."""
    one = scene(name="d=e")
    ending = one.run()
    if one.world.witness.effects:
        one.world.witness.fail(f"N1: the name is found impossible when the member is registered already: {ending}")
    return one


ROWS = {
    "U2p": u2p_says_as_before_of_a_listed_learner,
    "C1": c1_a_finished_join_ends_in_an_error,
    "C2": c2_a_repair_that_worked_ends_in_nothing_was_changed,
    "P1": p1_a_hiccup_of_the_leader_undoes_a_join,
    "P1b": p1b_a_hiccup_behind_a_finished_join,
    "G1": g1_asks_only_who_it_removed,
    "Y1": y1_promotes_what_it_can_never_verify,
    "A1": a1_no_quorum_of_a_healthy_cluster,
    "D1": d1_a_joiner_far_away_never_joins,
    "E1": e1_knows_only_the_endpoint_it_was_given,
    "W1": w1_who_waits_fails_with_the_first_leader,
    "T1": t1_a_flapping_etcd_is_progress,
    "I1": i1_a_url_in_capitals_is_not_recognised,
    "M1": m1_a_second_peer_url,
    "K1r": k1r_replaces_a_member_that_is_none,
    "N1": n1_a_name_that_etcd_cannot_take,
}
