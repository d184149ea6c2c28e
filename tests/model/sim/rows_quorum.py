"""Rows of the fault sheet that cost quorum, data or tolerance, as worlds. Each returns its scene, run and judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from model.sim import faults, rules
from model.sim.machine import machine
from model.sim.scene import Scene, scene
from model.sim.script import after, before, both, joiner_runs, noted, scripted, serving
from model.sim.world import Fate
from quorate.core.catch_up import FRESH_SECONDS

_CLOSED = "http://127.0.0.1:1"


def _pause(name: str, seconds: float) -> Callable[[Scene], None]:
    return lambda one: one.cluster.pause(one.cluster.machines[name], seconds)


def _lost(_one: Scene) -> Fate:
    return "lost"


def _kill_joiner(one: Scene) -> None:
    one.cluster.kill(one.joiner)


def h1_promotes_what_died_during_its_record() -> Scene:
    """The first leader hangs once the learner is registered; the learner dies at the intent to promote it."""
    one = scene()
    scripted(one, (after("MemberAdd"), _pause("n1", 60.0)), (noted("intent promote"), _kill_joiner))
    one.run()
    return one


def h2_promotes_what_died_while_it_stood_still() -> Scene:
    """The tool is paused behind its check for 20 s, the learner dies meanwhile."""
    one = scripted(scene(), (noted("intent promote"), both(_kill_joiner, partial(faults.stand_still, seconds=20.0))))
    one.run()
    return one


def h2_promotes_what_died_while_it_was_suspended() -> Scene:
    """As before, and the machine of the tool was suspended: its monotonic clock stood still."""
    one = scripted(scene(), (noted("intent promote"), both(_kill_joiner, partial(faults.suspend, seconds=20.0))))
    one.run()
    return one


def q1_is_carried_out_when_the_leader_goes_on() -> Scene:
    """The only voter hangs with the promotion in its socket, the learner dies, the voter goes on 8 s later. No deadline keeps
    etcd from carrying it out, so this is a window that stays; the proof must be fresh, and the words true."""

    def hang(one: Scene) -> None:
        one.cluster.pause(one.cluster.machines["n1"], 8.0)
        one.world.clock.after(1.0, partial(_kill_joiner, one))

    one = scripted(scene(voters=1), (before("MemberPromote"), hang))
    one.run()
    for age, _ in one.world.witness.promote_windows:
        if age > FRESH_SECONDS:
            one.world.witness.fail(f"Q1: the promotion was sent {age:.3f} s after the last write that the learner applied")
    if one.cluster.is_voter(one.joiner) and not one.world.witness.residual:
        one.world.witness.fail("Q1: it was promoted dead, and nobody counts that")
    return one


def s2_undoes_a_voter_on_an_old_list() -> Scene:
    """3.4: one voter applies late and answers first; Ctrl-C when the joiner has its vote."""

    def old_list_first(one: Scene) -> None:
        one.cluster.machines["n1"].delay = one.cluster.machines["n2"].delay = 0.02
        faults.interrupt(one)

    one = scene(version="3.4.23")
    one.cluster.machines["n3"].lag = 40.0
    one.cluster.machines["n3"].delay = 0.002
    scripted(one, (after("MemberPromote"), old_list_first))
    one.run()
    return one


def s5_stops_a_voter_on_a_list_without_leader() -> Scene:
    """A voter cut off before the add answers us; another stands still, so no list is linearizable."""

    def cut_n3(one: Scene) -> None:
        peers = [other for other in one.cluster.machines.values() if other.name != "n3"]
        one.cluster.cut(one.cluster.machines["n3"], peers)

    def no_quorum(one: Scene) -> None:
        one.cluster.machines["n1"].delay = 0.2
        one.cluster.pause(one.cluster.machines["n2"], 8.0)
        faults.interrupt(one)

    one = scripted(scene(), (before("MemberAdd"), cut_n3), (after("MemberPromote"), no_quorum))
    one.run()
    return one


def _with_another_cluster(one: Scene) -> Scene:
    stranger = machine("x1", delay=0.02)
    one.world.cluster("3.6.16", [stranger])
    one.seeds = [*one.seeds, "x1:2379"]
    return one


def x1_wipes_a_voter_on_the_list_of_another_cluster() -> Scene:
    """Endpoints of two clusters: the right one stands still for 6 s behind the promotion."""
    one = _with_another_cluster(scene(voters=1))
    scripted(one, (after("MemberPromote"), both(_pause("n1", 6.0), faults.interrupt)))
    one.run()
    return one


def u2_stops_a_voter_whose_url_was_corrected() -> Scene:
    """An operator gives our learner the address of its name, and promotes it."""
    one = scripted(scene(voters=1), (serving, partial(faults.operate, what=faults.update_and_promote)))
    one.run()
    return one


def s3_promotes_what_only_the_leader_reaches() -> Scene:
    """The joiner and two voters do not reach each other: not a fault on the way, the network has always been so."""
    one = scene()
    one.cluster.cut(one.joiner, [one.cluster.machines["n2"], one.cluster.machines["n3"]])
    one.run()
    return one


def b1_promotes_below_a_margin_of_zero() -> Scene:
    """Two of three voters answer neither us nor the joiner: as far as anybody can see there is no quorum."""
    one = scene()
    for name in ("n2", "n3"):
        one.cluster.cut(one.joiner, [one.cluster.machines[name]])
        one.cluster.machines[name].cut_from_tool = True
    one.run()
    return one


def r1_takes_a_voter_for_dead_whose_first_url_is_closed() -> Scene:
    """`replace` removes it first, and the new one is never started."""
    machines_url = (_CLOSED, "http://n3:2379")
    one = scene("replace", advertised={"n3": machines_url})
    one.joiner.fails_to_start = "nobody starts it"
    one.run()
    return one


def r2_removes_a_voter_that_stood_still() -> Scene:
    """It was paused for 3 s, and nobody consented to less tolerance."""
    one = scripted(scene("remove"), (after("Status", "n3"), _pause("n3", 3.0)))
    one.run()
    return one


def l1_two_removals_side_by_side() -> Scene:
    """Of four voters two tools remove one each; the first was paused between its check and its request."""
    one = scene("remove", voters=4)
    other = Scene(one.world, one.cluster, "remove", one.joiner, one.seeds, old="n4")

    def the_other_goes_first(_one: Scene) -> None:
        one.world.clock.move(61.0)
        cancel = one.world.clock.cancel
        other.run()
        one.world.clock.cancel = cancel

    scripted(one, (noted("intent remove"), the_other_goes_first))
    one.run()
    return one


def u1_removes_the_learner_of_another_operator() -> Scene:
    """Our learner was removed and another registered at the same URL; then Ctrl-C."""

    def replaced(one: Scene) -> None:
        faults.operate(one, faults.remove_ours)
        one.world.clock.move(1.2)
        faults.operate(one, faults.add_at_our_url)
        faults.interrupt(one)

    one = scripted(scene(), (serving, replaced))
    one.run()
    return one


def u3_takes_a_later_learner_for_its_own() -> Scene:
    """A run is killed behind its add; its learner is removed, another registered at the URL; the same command, Ctrl-C."""
    one = scripted(scene(), (after("MemberAdd"), faults.kill_tool))
    one.run()
    faults.operate(one, faults.remove_ours)
    one.world.clock.move(15.0)
    rules.add(one.cluster, (one.peer_url,), learner=True)
    scripted(one, (joiner_runs, faults.interrupt))
    one.run()
    return one


def s1_removes_the_voter_that_the_quorum_hangs_on() -> Scene:
    """A voter cut from its peers answers us and says that it has no leader: it does not count."""
    one = scene("remove")
    one.old, one.consent = "n2", True
    one.cluster.cut(one.cluster.machines["n3"], [one.cluster.machines["n1"], one.cluster.machines["n2"]])
    one.world.clock.move(3.0)
    one.run()
    return one


def s1_calls_it_as_before_on_a_stale_list() -> Scene:
    """The only endpoint is cut off before it applied the add."""

    def cut_n3(one: Scene) -> None:
        one.cluster.cut(one.cluster.machines["n3"], [one.cluster.machines["n1"], one.cluster.machines["n2"]])
        faults.interrupt(one)

    one = scripted(scene(seeds=["n3:2379"]), (after("MemberAdd"), cut_n3))
    one.run()
    return one


def _removes_the_leader_of_a_star(*, consent: bool) -> Scene:
    """Four voters; each follower reaches the leader alone."""
    one = scene("remove", voters=4)
    leader = one.cluster.leader
    assert leader is not None
    one.old, one.consent = leader.name, consent
    followers = [other for other in one.cluster.machines.values() if one.cluster.is_voter(other) and other is not leader]
    for other in followers:
        one.cluster.cut(other, [peer for peer in followers if peer is not other])
    term = one.cluster.term
    one.world.clock.move(3.0)
    one.run()
    if one.cluster.leader is not leader or one.cluster.term != term or len(one.cluster.state.rows) != 4:
        one.world.witness.fail("L2: leadership was moved, and no follower can lead the others")
    return one


def x1r_calls_it_removed_on_the_list_of_another_cluster() -> Scene:
    """The request is lost, its cluster stands still, and another cluster's member answers."""

    def hang(one: Scene) -> Fate:
        for name in ("n1", "n2", "n3"):
            one.cluster.pause(one.cluster.machines[name], 15.0)
        return "lost"

    one = _with_another_cluster(scene("remove"))
    one.consent = True
    scripted(one, (before("MemberRemove"), hang))
    one.run()
    return one


ROWS: dict[str, Callable[[], Scene]] = {
    "H1": h1_promotes_what_died_during_its_record,
    "H2": h2_promotes_what_died_while_it_stood_still,
    "H2 suspended": h2_promotes_what_died_while_it_was_suspended,
    "Q1": q1_is_carried_out_when_the_leader_goes_on,
    "S1": s1_removes_the_voter_that_the_quorum_hangs_on,
    "S1 stale": s1_calls_it_as_before_on_a_stale_list,
    "S2": s2_undoes_a_voter_on_an_old_list,
    "S5": s5_stops_a_voter_on_a_list_without_leader,
    "X1": x1_wipes_a_voter_on_the_list_of_another_cluster,
    "X1r": x1r_calls_it_removed_on_the_list_of_another_cluster,
    "U1": u1_removes_the_learner_of_another_operator,
    "U2": u2_stops_a_voter_whose_url_was_corrected,
    "U3": u3_takes_a_later_learner_for_its_own,
    "S3": s3_promotes_what_only_the_leader_reaches,
    "B1": b1_promotes_below_a_margin_of_zero,
    "R1": r1_takes_a_voter_for_dead_whose_first_url_is_closed,
    "R2": r2_removes_a_voter_that_stood_still,
    "L1": l1_two_removals_side_by_side,
    "L2": partial(_removes_the_leader_of_a_star, consent=False),
    "L2 consent": partial(_removes_the_leader_of_a_star, consent=True),
}
