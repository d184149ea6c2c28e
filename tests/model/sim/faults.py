"""What may happen at a hook: to the tool, to members, to links, to answers, and by another operator's hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from model.sim import rules
from model.sim.machine import DELAY_SECONDS, LAG_SECONDS, Machine, machine
from model.sim.rules import Refusal
from model.sim.scene import Scene
from model.sim.server import Server
from model.sim.world import Fate, Point, carry_out
from quorate.etcd.client import wire_pb2 as wire


def anywhere(_point: Point) -> bool:
    return True


def at_calls(point: Point) -> bool:
    """Where there is an answer to lose."""
    return point.when != "note" and point.what not in ("metrics", "peer-members")


@dataclass(frozen=True, slots=True)
class Fault:
    """`apply` does it to the world of a scene and says what becomes of the call at hand; `fits`: the points it is for."""

    name: str
    apply: Callable[[Scene], Fate | None]
    fits: Callable[[Point], bool] = anywhere


def _leader(scene: Scene) -> Machine:
    return scene.cluster.leader or scene.cluster.machines["n1"]


def _follower(scene: Scene) -> Machine:
    voters = [one for row in scene.cluster.state.voters if (one := scene.cluster.machine_of(row.id))]
    others = [one for one in voters if one is not scene.cluster.leader and one is not scene.joiner]
    return others[-1] if others else _leader(scene)


def _joiner(scene: Scene) -> Machine:
    return scene.joiner


WHO: dict[str, Callable[[Scene], Machine]] = {"leader": _leader, "follower": _follower, "joiner": _joiner}
Who = Callable[[Scene], Machine]

# -- the tool ------------------------------------------------------------------------------------------------------------


def stand_still(scene: Scene, seconds: float) -> None:
    scene.world.clock.move(seconds)


def suspend(scene: Scene, seconds: float) -> None:
    scene.world.clock.suspend(seconds)


def interrupt(scene: Scene) -> None:
    scene.world.clock.cancel.request("SIGINT")


def kill_tool(scene: Scene) -> None:
    scene.world.killed = True


# -- members and links ---------------------------------------------------------------------------------------------------


def kill(scene: Scene, who: Who) -> None:
    scene.cluster.kill(who(scene))


def restart(scene: Scene, who: Who) -> None:
    one = who(scene)
    if one.has_data:
        scene.cluster.kill(one)
        scene.cluster.start(one)


def pause(scene: Scene, who: Who, seconds: float) -> None:
    scene.cluster.pause(who(scene), seconds)


def cut(scene: Scene, who: Who, way: str) -> None:
    one = who(scene)
    others = [other for other in scene.cluster.machines.values() if other is not one]
    scene.cluster.cut(one, others, inbound=way != "out", outbound=way != "in")


def cut_pair(scene: Scene) -> None:
    """The joiner and one follower do not reach each other; both reach the leader."""
    scene.cluster.cut(scene.joiner, [_follower(scene)])


def cut_from_tool(scene: Scene, who: Who) -> None:
    who(scene).cut_from_tool = True


def slow_apply(scene: Scene, who: Who, seconds: float) -> None:
    """What it has applied is old for so long; it answers first."""
    one, cluster = who(scene), scene.cluster

    def as_before() -> None:
        with cluster.changing():
            one.lag, one.delay = LAG_SECONDS, DELAY_SECONDS

    with cluster.changing():
        one.lag, one.delay = seconds, 0.0001
    scene.world.clock.after(seconds, as_before)


def heal(scene: Scene) -> None:
    """All links work again, and what is dead is started."""
    scene.cluster.heal()
    for one in scene.cluster.machines.values():
        if one.condition == "dead" and one.has_data:
            scene.cluster.start(one)


def flap(scene: Scene) -> None:
    """A supervisor starts it again and again."""
    for number in range(4):
        scene.world.clock.after(0.3 + number, partial(restart, scene, _joiner))


def other_cluster_answers(scene: Scene, who: Who) -> None:
    """The address of a member leads to a member of another cluster, that has a leader of its own."""
    if len(scene.world.clusters) == 1:
        scene.world.cluster(str(scene.cluster.version), [machine("x1")])
    for address in who(scene).client_addresses:
        scene.world.redirects[address] = scene.world.clusters[1].machines["x1"]


# -- answers -------------------------------------------------------------------------------------------------------------


def lose(_scene: Scene, fate: Fate) -> Fate:
    return fate


def late_promotion(scene: Scene) -> Fate:
    """The request waits in a stopped leader, the answer is lost, and another leader carries it out later."""
    leader, learners = _leader(scene), scene.cluster.state.learners
    scene.cluster.pause(leader, 4.0)
    for row in learners:
        scene.world.clock.after(6.0, partial(_promote_late, scene, row.id))
    return "lost"


def _promote_late(scene: Scene, member_id: int) -> None:
    cluster, now = scene.cluster, scene.world.clock.world
    leader = cluster.leader
    if leader is not None and Server(cluster, leader, now).can_carry_out:
        try:
            carry_out(scene.world, leader, "MemberPromote", wire.MemberPromoteRequest(ID=member_id), late=True)
        except Refusal as refusal:
            scene.world.say(f"LATE promotion refused: {refusal.text}")


# -- another operator ----------------------------------------------------------------------------------------------------


def operate(scene: Scene, what: Callable[[Scene], None]) -> None:
    """What somebody does with etcdctl; what etcd refuses does not happen."""
    if not scene.cluster.can_commit:
        return
    scene.operator_acted = True
    try:
        what(scene)
    except Refusal as refusal:
        scene.world.say(f"operator: {refusal.text}")


def _our_learner(scene: Scene) -> int:
    return next((row.id for row in scene.cluster.state.learners if scene.peer_url in row.peer_urls), 0)


def promote_ours(scene: Scene) -> None:
    rules.promote(scene.cluster, _our_learner(scene))


def remove_ours(scene: Scene) -> None:
    rules.remove(scene.cluster, _our_learner(scene))


def update_ours(scene: Scene) -> None:
    """To another name of the same machine."""
    alias = f"http://{scene.joiner.name}.example:2380"
    scene.joiner.peer_urls = (scene.joiner.peer_urls[0], alias)
    rules.update(scene.cluster, _our_learner(scene), (alias,))


def update_and_promote(scene: Scene) -> None:
    update_ours(scene)
    alias = scene.joiner.peer_urls[1]
    rules.promote(scene.cluster, next(row.id for row in scene.cluster.state.learners if alias in row.peer_urls))


def add_ours_again(scene: Scene) -> None:
    """Remove our learner and register one of his own at the same URL, a moment later."""
    remove_ours(scene)
    scene.world.clock.after(1.1, partial(operate, scene, add_at_our_url))


def add_at_our_url(scene: Scene) -> None:
    rules.add(scene.cluster, (scene.peer_url,), learner=True)


def remove_a_voter(scene: Scene) -> None:
    rules.remove(scene.cluster, _follower(scene).member_id)


def _members() -> list[Fault]:
    found: list[Fault] = []
    for name, who in WHO.items():
        found.append(Fault(f"kill {name}", partial(kill, who=who)))
        found.append(Fault(f"restart {name}", partial(restart, who=who)))
        found += [Fault(f"pause {name} {s:g} s", partial(pause, who=who, seconds=s)) for s in (2.0, 8.0, 30.0)]
        found += [Fault(f"cut {name} {way}", partial(cut, who=who, way=way)) for way in ("both", "in", "out")]
        found.append(Fault(f"cut {name} from the tool", partial(cut_from_tool, who=who)))
        found.append(Fault(f"another cluster answers for {name}", partial(other_cluster_answers, who=who)))
    found += [Fault(f"{n} applies late", partial(slow_apply, who=WHO[n], seconds=3.0)) for n in ("follower", "joiner")]
    return [
        *found,
        Fault("everything heals", heal),
        Fault("cut joiner and follower", cut_pair),
        Fault("the joiner flaps", flap),
    ]


def _operator() -> list[Fault]:
    deeds = (promote_ours, remove_ours, update_ours, update_and_promote, add_ours_again, remove_a_voter)
    return [Fault(f"operator: {deed.__name__.replace('_', ' ')}", partial(operate, what=deed)) for deed in deeds]


def _promotes(point: Point) -> bool:
    return point.when == "before" and point.what == "MemberPromote"


FAULTS: tuple[Fault, ...] = (
    *(Fault(f"tool stands still {s:g} s", partial(stand_still, seconds=s)) for s in (1.0, 5.0, 20.0, 70.0)),
    Fault("the tool's machine is suspended 20 s", partial(suspend, seconds=20.0)),
    Fault("Ctrl-C", interrupt),
    Fault("tool killed", kill_tool),
    Fault("lost", partial(lose, fate="lost"), at_calls),
    Fault("connection breaks", partial(lose, fate="broken"), at_calls),
    Fault("late promotion by another leader", late_promotion, _promotes),
    *_members(),
    *_operator(),
)
BY_NAME = {fault.name: fault for fault in FAULTS}

PAIRED = tuple(
    BY_NAME[name]
    for name in (
        "tool stands still 5 s",
        "Ctrl-C",
        "tool killed",
        "lost",
        "kill leader",
        "pause leader 8 s",
        "kill joiner",
        "pause joiner 8 s",
        "cut joiner both",
        "everything heals",
        "another cluster answers for leader",
        "operator: promote ours",
        "operator: update ours",
        "operator: add ours again",
    )
)
"""What is tried two at a time."""
