"""The world the engine is explored in: etcd's rules, machines that fail, a second operator, and the tool itself.

The tool is the real `decide_join`, `decide_undo` and `invariants`; around them stands only what `etcd/join.py` does with
their answers. One look at the cluster and the action that follows from it are two separate transitions, so anything may
happen in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from model import etcd_rules as model
from model.etcd_rules import Etcd, Node, Verdict
from quorate.core.actions import (
    Action,
    AddLearner,
    Do,
    Done,
    Promote,
    ProveAlignment,
    Refuse,
    Remove,
    RestartLearner,
    StartMember,
    StopMember,
    VerifyVoter,
    WipeData,
)
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.decide_join import Joiner, JoinGoal, ProcessState, decide_join
from quorate.core.decide_undo import UndoGoal, decide_undo
from quorate.core.invariants import Limits, Step, violations
from quorate.core.join_memory import JoinMemory, Vote
from quorate.core.membership import ClusterView, Member, MemberStatus, NoResponse, StatusResult

CLUSTER = 1
TERM = 1
Phase: TypeAlias = Literal["join", "undo", "goal", "start", "forward"]
Reply3: TypeAlias = Literal["answered", "lost-after", "lost-before"]


class Memory(NamedTuple):
    """What the tool knows of one joiner beyond the view. `known`: its member id; `adding`: an add was sent and not answered.
    `restarted`, `ours`, `known`, `adding` and `promotion_unknown` survive a crash; `ended`: its process ended during this
    run."""

    slot: int
    proven: bool = False
    verified: bool = False
    restarted: bool = False
    ours: bool = False
    known: bool = False
    adding: bool = False
    promotion_unknown: bool = False
    has_data: bool = False
    ended: bool = False


class World(NamedTuple):
    """Everything. `pending` is what was decided and not done yet; `quiet`: no fault since the newest proof was made."""

    etcd: Etcd
    tool: tuple[Memory, ...]
    phase: Phase = "join"
    pending: Action | None = None
    quiet: bool = False
    faults: int = 0
    cuts: int = 0
    foreign: int = 0


def url(slot: int) -> str:
    return f"https://n{slot}:2380"


def view_of(world: World) -> ClusterView:
    """What the tool sees: members by the quorum's list, and a status from every process whose client port serves."""
    etcd = world.etcd
    members: list[Member] = []
    replies: dict[int, StatusResult] = {}
    for slot, node in enumerate(etcd.nodes):
        if node.role == "none":
            continue
        clients = (f"https://n{slot}:2379",) if node.started else ()
        members.append(Member(slot + 1, f"m{slot}" if node.started else "", (url(slot),), clients, node.role == "learner"))
        replies[slot + 1] = _status(etcd, slot, node) if node.running and node.serving else NoResponse("no answer")
    led = model.can_commit(etcd)
    reads = frozenset(row.id for row in members if not row.is_learner and led and _reads(etcd.nodes[row.id - 1]))
    return ClusterView(CLUSTER, tuple(members), replies, 0.0, linearizable=led, read_by=reads)


def _reads(node: Node) -> bool:
    return model.is_up(node) and node.serving


def _status(etcd: Etcd, slot: int, node: Node) -> MemberStatus:
    leader = 0 if etcd.leader is None else etcd.leader + 1
    applied = 100 if node.aligned else 1
    return MemberStatus(slot + 1, CLUSTER, "3.6.16", leader, TERM, 100, applied, node.role == "learner", 1, 1)


def memory_as_kept(memory: Memory) -> JoinMemory:
    """As the journal and the record keep it; ids are the slots', and only our add makes a member of a joiner's slot."""
    vote: Vote = "asked" if memory.promotion_unknown else "none"
    return JoinMemory(
        member_id=memory.slot + 1 if memory.known else 0,
        ours=memory.ours and memory.known,
        adding=((0, 1),) if memory.adding else (),
        listed=memory.known,
        restarted=memory.restarted,
        vote=vote,
    )


def learn(world: World, view: ClusterView) -> World:
    """The id of a joiner that is listed, whose add got no answer: it is known from now on, and ours."""
    for memory in world.tool:
        if not memory.known and view.linearizable and view.by_id(memory.slot + 1) is not None:
            world = _remember(world, memory.slot, known=True, ours=memory.ours or memory.adding, adding=False)
    return world


def joiner_of(world: World, memory: Memory) -> Joiner:
    node = world.etcd.nodes[memory.slot]
    process: ProcessState = "running" if node.running else ("exited" if memory.ended else "absent")
    return Joiner(
        f"m{memory.slot}",
        (url(memory.slot),),
        process=process,
        has_data=memory.has_data,
        listed_itself_at=-1.0 if node.running and node.started and node.role == "learner" else None,
        memory=memory_as_kept(memory),
        proof=Proof(memory.slot + 1, CLUSTER, TERM, 100, 100, 0.0, ROUNDS, heard=True) if memory.proven else None,
        verified=memory.verified,
    )


class Unsound(AssertionError):  # noqa: N818
    """A property does not hold in a reachable state."""


def seats(world: World) -> int:
    return world.etcd.max_learners


def decide(world: World) -> World:
    """One look at the cluster; the action it leads to becomes pending. Raises `Unsound` when it breaks an invariant."""
    view = view_of(world)
    world = learn(world, view)
    if world.phase == "undo":
        return _decide_undo(world, view)
    goal = JoinGoal(tuple(joiner_of(world, memory) for memory in world.tool), seats(world))
    decision = decide_join(view, goal, 0.0)
    match decision:
        case Done():
            return world._replace(phase="goal", tool=_forget_proofs(world.tool))
        case Refuse():
            return world._replace(phase="undo", tool=_forget_proofs(world.tool))
        case Do(action=action):
            broken = dict(violations(Step(view, action, Limits(CLUSTER, seats(world)), 0.0)))
            passing = isinstance(action, AddLearner) or broken.keys() <= {"margin_not_lowered"}
            if broken and not passing:
                raise Unsound(f"{action} breaks {broken} in {world}")
            if broken:
                return world
            return world._replace(pending=action)
        case _:
            # Time passes while it waits: a proof made before is stale afterwards.
            return world._replace(tool=_forget_proofs(world.tool))


def _decide_undo(world: World, view: ClusterView) -> World:
    forward = waiting = False
    for memory in world.tool:
        node = world.etcd.nodes[memory.slot]
        goal = UndoGoal(
            f"m{memory.slot}",
            (url(memory.slot),),
            memory_as_kept(memory),
            node.running,
            memory.has_data,
            memory.has_data,
        )
        match decide_undo(view, goal):
            case Do(action=action):
                broken = dict(violations(Step(view, action, Limits(CLUSTER, seats(world)), 0.0)))
                if broken:
                    raise Unsound(f"undo: {action} breaks {broken} in {world}")
                return world._replace(pending=action)
            case Refuse(kind=kind):
                forward = forward or node.role != "none" or kind == "add-unknown"
            case Done():
                # What was undone is forgotten: the next join of this name is another one.
                world = _remember(world, memory.slot, known=False, ours=False, adding=False, promotion_unknown=False)
            case _:
                waiting = True
    if waiting:
        return world
    return world._replace(phase="forward" if forward else "start")


def _forget_proofs(tool: tuple[Memory, ...]) -> tuple[Memory, ...]:
    return tuple(memory._replace(proven=False) for memory in tool)


def act(world: World, reply: Reply3 = "answered") -> World:
    """Carry out the pending action; for a membership change `reply` says what becomes of request and answer."""
    action, world = world.pending, world._replace(pending=None)
    match action:
        case AddLearner(name=name):
            return _add(world, _slot(name), reply)
        case Promote(member_id=member_id):
            return _promote(world, member_id - 1, reply)
        case Remove(member_id=member_id):
            if reply == "lost-before":
                return world
            return world._replace(etcd=model.remove(world.etcd, member_id - 1)[1])
        case StartMember(name=name) | RestartLearner(name=name):
            return _start(world, _slot(name), again=isinstance(action, RestartLearner))
        case StopMember(name=name):
            return world._replace(etcd=model.replace(world.etcd, _slot(name), running=False, serving=False))
        case WipeData(name=name):
            return _remember(world, _slot(name), has_data=False, ended=False, known=False, ours=False, adding=False)
        case ProveAlignment(name=name):
            return _prove(world, _slot(name))
        case VerifyVoter(name=name):
            node = world.etcd.nodes[_slot(name)]
            serves = model.is_up(node) and node.serving and model.can_commit(world.etcd) and node.role == "voter"
            return _remember(world, _slot(name), verified=serves)
        case _:
            raise Unsound(f"nothing of ours decides {action}")


def _slot(name: str) -> int:
    return int(name[1:])


def _remember(world: World, slot: int, **changes: bool) -> World:
    tool = tuple(memory._replace(**changes) if memory.slot == slot else memory for memory in world.tool)
    return world._replace(tool=tool)


def memory_of(world: World, slot: int) -> Memory:
    return next(memory for memory in world.tool if memory.slot == slot)


def _add(world: World, slot: int, reply: Reply3) -> World:
    if reply == "lost-before":
        return _remember(world, slot, adding=True)
    verdict, after = model.add_learner(world.etcd, slot)
    world = world._replace(etcd=after)
    if reply != "answered" or verdict == "no-answer":
        return _remember(world, slot, adding=True)
    return _remember(world, slot, known=True, ours=True, adding=False) if verdict == "ok" else world


def _promote(world: World, slot: int, reply: Reply3) -> World:
    before = world.etcd
    verdict: Verdict = "no-answer"
    if reply != "lost-before":
        verdict, after = model.promote(before, slot)
        world = world._replace(etcd=after)
    if verdict == "ok" and world.quiet and real_margin(world.etcd) < real_margin(before):
        raise Unsound(f"our promotion of m{slot} lowered the margin: {world}")
    unknown = reply != "answered" or verdict in ("ok", "no-answer")
    return _remember(world, slot, promotion_unknown=unknown, proven=False)


def real_margin(etcd: Etcd) -> int:
    voters = model.slots(etcd, "voter")
    return sum(model.is_up(etcd.nodes[slot]) for slot in voters) - (len(voters) // 2 + 1)


def _start(world: World, slot: int, *, again: bool) -> World:
    """A first start comes up empty; a later one, on its data, serves at once (no publish is lost twice)."""
    node = world.etcd.nodes[slot]
    serving = node.started
    world = _remember(world, slot, has_data=True, ended=True, restarted=memory_of(world, slot).restarted or again)
    return world._replace(etcd=model.replace(world.etcd, slot, running=True, serving=serving))


def _prove(world: World, slot: int) -> World:
    node = world.etcd.nodes[slot]
    proven = model.can_commit(world.etcd) and model.is_up(node) and node.serving and node.aligned and node.role == "learner"
    return _remember(world, slot, proven=proven)._replace(quiet=proven)


# -- what happens by itself, what goes wrong, what somebody else does ----------------------------------------------------


def progress(world: World) -> Iterator[World]:
    """Elections, catching up, publishes; an exchange of messages only ever helps."""
    etcd = world.etcd
    leader = etcd.leader
    if leader is None or not model.can_commit(etcd):
        candidates = [slot for slot in model.slots(etcd, "voter") if model.is_up(etcd.nodes[slot]) and etcd.nodes[slot].aligned]
        if model.has_quorum(etcd) and candidates:
            yield world._replace(etcd=etcd._replace(leader=candidates[0]))
        elif leader is not None:
            yield world._replace(etcd=etcd._replace(leader=None))
        return
    for slot, node in enumerate(etcd.nodes):
        if node.role == "none" or not model.is_up(node):
            continue
        if not node.aligned:
            # Fed by a snapshot: its publish arrives as an entry of its own, or is lost inside.
            for serving in (True, False):
                yield world._replace(etcd=model.replace(etcd, slot, aligned=True, started=True, serving=serving))
        elif not node.serving:
            yield world._replace(etcd=model.replace(etcd, slot, serving=True))


def go_wrong(world: World) -> Iterator[World]:
    """Faults within their budget: a process dies, a machine is cut off; and their ends, which cost nothing."""
    etcd = world.etcd
    for slot, node in enumerate(etcd.nodes):
        if node.running and world.faults:
            dead = model.replace(etcd, slot, running=False, serving=False)
            yield world._replace(etcd=_without_dead_leader(dead), faults=world.faults - 1, quiet=False)
        if node.running and world.cuts and not node.cut:
            cut = model.replace(etcd, slot, cut=True)
            yield world._replace(etcd=_without_dead_leader(cut), cuts=world.cuts - 1, quiet=False)
        if node.cut:
            yield world._replace(etcd=model.replace(etcd, slot, cut=False))
        if node.role == "voter" and not node.running:
            yield world._replace(etcd=model.replace(etcd, slot, running=True, serving=node.started))
    if world.faults:
        yield crash(world)._replace(faults=world.faults - 1)
    if world.faults and isinstance(world.pending, AddLearner | Promote | Remove):
        for reply in ("lost-after", "lost-before"):
            yield act(world, reply)._replace(faults=world.faults - 1)


def _without_dead_leader(etcd: Etcd) -> Etcd:
    return etcd if model.can_commit(etcd) else etcd._replace(leader=None)


def crash(world: World) -> World:
    """The tool dies and is started again with the same command; its journal tells what it had begun."""
    unknown = isinstance(world.pending, Promote)
    tool = tuple(
        memory._replace(
            proven=False,
            verified=False,
            promotion_unknown=memory.promotion_unknown or (unknown and f"m{memory.slot}" == getattr(world.pending, "name", "")),
            # An ended process is forgotten by a new run: it starts it again.
            ended=world.etcd.nodes[memory.slot].running,
        )
        for memory in world.tool
    )
    return world._replace(tool=tool, phase="join", pending=None, quiet=False)


def interfere(world: World) -> Iterator[World]:
    """A second operator who knows nothing of us: adds, promotes (also the dead) and removes learners."""
    if not world.foreign:
        return
    spent = world._replace(foreign=world.foreign - 1, quiet=False)
    joiners = {memory.slot for memory in world.tool}
    for slot, node in enumerate(world.etcd.nodes):
        for change in (model.promote, model.remove) if node.role == "learner" else ():
            verdict, after = change(world.etcd, slot)
            if verdict == "ok":
                yield spent._replace(etcd=after)
        if node.role == "none" and slot not in joiners:
            verdict, after = model.add_learner(world.etcd, slot)
            if verdict == "ok":
                yield spent._replace(etcd=after)


def steps(world: World) -> Iterator[World]:
    """Every world that may come next."""
    if world.phase in ("join", "undo"):
        yield act(world) if world.pending is not None else decide(world)
    if world.phase == "join" and world.pending is None:
        # Ctrl-C, or no progress for too long.
        yield world._replace(phase="undo", tool=_forget_proofs(world.tool))
    yield from progress(world)
    yield from go_wrong(world)
    yield from interfere(world)
