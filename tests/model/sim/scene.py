"""One command of the tool in one world: built, run to its end, judged, and run again as a user would."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from model.sim.access import SimAccess
from model.sim.clock import Endless, SimCancel
from model.sim.engine import Cluster, JoinPolicy, JoinSpec
from model.sim.etcd import SimCluster
from model.sim.machine import DELAY_SECONDS, LAG_SECONDS, Machine, machine
from model.sim.pages import plugged
from model.sim.runtime import SimRuntime
from model.sim.witness import Unsound, claims_unchanged, claims_undone
from model.sim.world import MOST_POINTS, ToolKilled, World, first, no_fault
from quorate.deadline import DeadlineExceeded
from quorate.errors import Interrupted, QuorateError
from quorate.etcd.client.endpoint import Endpoint, parse_endpoints
from quorate.report import Recorder

Verb: TypeAlias = Literal["join", "add", "remove", "replace"]
SETTLE_SECONDS = 70.0
_NOTICED_SECONDS = 3.0
_SHOWN_CALLS = 40
_REMEMBERS = "remember" in inspect.signature(Cluster.join).parameters
_WORTH_TELLING = re.compile(r" (FAULT|EFFECT|LATE|END|BROKEN|start|stop|restart|wipe|operator:) ?")
STALL_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of the tool ended: with a value, an error it raises on purpose, or killed."""

    value: object = None
    error: QuorateError | None = None
    killed: bool = False

    @property
    def ok(self) -> bool:
        return self.error is None and not self.killed

    def __str__(self) -> str:
        if self.error is None:
            return "killed" if self.killed else "success"
        return f"{type(self.error).__name__}: {self.error.what} | now: {self.error.state}"


@dataclass
class Scene:
    """`joiner` is the machine that is added; `seeds` the addresses the tool is given; `old` whom `remove` and `replace`
    name. `operator_acted`: somebody else changed members, so what is there at the end need not be ours. `most_points`: hook
    points of a run that comes to an end."""

    world: World
    cluster: SimCluster
    verb: Verb
    joiner: Machine
    seeds: Sequence[str]
    old: str = "n3"
    consent: bool = False
    stall_seconds: float = STALL_SECONDS
    recorder: Recorder = field(default_factory=Recorder)
    operator_acted: bool = False
    most_points: int = MOST_POINTS
    on_note: Callable[[str, dict[str, object]], None] | None = None
    last: Ending = Ending()
    old_ids: set[int] = field(default_factory=set[int])
    _runtime: SimRuntime | None = None
    _memory: Any = None
    _old_was_there: bool = False

    @property
    def peer_url(self) -> str:
        return self.joiner.peer_urls[0]

    @property
    def runtime(self) -> SimRuntime:
        if self._runtime is None:
            self._runtime = SimRuntime(self.world, self.cluster, self.joiner)
        return self._runtime

    def run(self) -> Ending:
        """Run the command once, in a process of its own."""
        world = self.world
        world.killed, world.clock.cancel = False, SimCancel(world.clock)
        world.witness.consent = self.consent
        world.witness.replaces = self.verb == "replace"
        world.last_point = world.points + self.most_points
        done_before, self._old_was_there = len(world.witness.effects), bool(self._old_rows())
        with plugged(world):
            ending = self._caught()
        world.say(f"END {ending}")
        self.last = ending
        self._judge(ending, done_before)
        return ending

    def _caught(self) -> Ending:
        try:
            return Ending(value=self._command(self.tool()))
        except ToolKilled:
            return Ending(killed=True)
        except QuorateError as error:
            return Ending(error=error)
        except Endless as error:
            self.world.witness.fail(f"P7: the tool does not come to an end: {error}")
        except Exception as error:  # the property is about whatever else comes out
            self.world.witness.fail(f"P7: {type(error).__name__} came out of the tool: {error}")
        return Ending(killed=True)

    def tool(self) -> Cluster:
        """A fresh tool over the same world."""
        return Cluster(
            SimAccess(self.world),
            parse_endpoints(list(self.seeds)),
            self.world.clock,
            self.recorder,
            self._note,
            policy=JoinPolicy(self.stall_seconds),
        )

    def _note(self, kind: str, fields: dict[str, object]) -> None:
        self.world.reach("note", f"{kind} {fields.get('do', '')}".strip(), "")
        if self.on_note is not None:
            self.on_note(kind, fields)

    def _command(self, tool: Cluster) -> object:
        one, world = self.joiner, self.world
        if self.verb in ("remove", "replace"):
            self.old_ids |= self._old_rows()
            world.witness.named |= self.old_ids
        match self.verb:
            case "join":
                return self._join(tool)
            case "add":
                return tool.add(one.name, self.peer_url, start=self._start)
            case "remove":
                return tool.remove(self.old, accept_reduced_tolerance=self.consent)
            case "replace":
                return tool.replace(self.old, one.name, self.peer_url, start=self._start)

    def _join(self, tool: Cluster) -> object:
        """As the command line does: what the tool wants remembered is there when it is run again."""
        client = Endpoint.parse(self.joiner.client_addresses[0])
        known = {"memory": self._memory} if self._memory is not None else {}
        spec = JoinSpec(self.joiner.name, self.peer_url, client, None, **known)
        hooks: dict[str, Any] = {"remember": self._remember} if _REMEMBERS else {}
        return tool.join(spec, self.runtime, **hooks)

    def _remember(self, _name: str, memory: object) -> None:
        if self.world.killed:
            raise ToolKilled
        self._memory = memory

    def _start(self, _name: str, rows: Sequence[tuple[str, str]]) -> None:
        """As whoever starts members elsewhere does; he follows the advice to delete what a removed one left."""
        if self.world.killed:
            raise ToolKilled
        if self.joiner.member_id in self.cluster.state.removed:
            self.cluster.kill(self.joiner)
            self.joiner.forget()
        self.runtime.start(rows)

    # -- judging ---------------------------------------------------------------------------------------------------------

    def _judge(self, ending: Ending, done_before: int) -> None:
        witness, state = self.world.witness, self.cluster.state
        if ending.ok and self.verb in ("join", "add", "replace"):
            row = state.rows.get(getattr(ending.value, "member_id", 0))
            if row is None or row.is_learner:
                witness.fail(f"P4: success was reported, and the member is {'a learner' if row else 'not there'}")
        if ending.ok and self.verb in ("remove", "replace") and self._old_is_there():
            witness.fail(f"P4: the removal of {self.old} was reported, and it is still listed")
        if ending.error is None:
            return
        # Whose time ran out may have looked just before it was over.
        in_time = self.world.clock.world - self.cluster.changed_at < _NOTICED_SECONDS
        excused = isinstance(ending.error, Interrupted) or (in_time and isinstance(ending.error, DeadlineExceeded))
        if self._is_reached() and not excused:
            witness.fail(f"P9: the goal is reached and nothing is in the way, and the run ended in {ending}")
        now_added = {effect.member_id for effect in witness.effects[done_before:] if effect.method == "MemberAdd"}
        ours = (now_added & state.rows.keys()) | {row.id for row in state.learners if row.id in witness.registered}
        if claims_undone(ending.error) and ours and self.verb in ("join", "add"):
            witness.fail(f"P4: {ending} - and {', '.join(f'{one:x}' for one in ours)} is still listed")
        if claims_unchanged(ending.error) and len(witness.effects) > done_before:
            witness.fail(f"P4: {ending} - and it had carried out {witness.effects[done_before:]}")

    def _old_rows(self) -> set[int]:
        rows = self.cluster.state.rows.values()
        return {row.id for row in rows if self.old in (row.name, f"{row.id:x}", *row.peer_urls)}

    def _is_reached(self) -> bool:
        """Whether the tool got what it was run for, and can see that: everything that runs answers it, in its own name."""
        cluster, now = self.cluster, self.world.clock.world
        alive = [one for one in cluster.machines.values() if one.condition not in ("dead", "absent")]
        plain = all(one.runs(now) and not one.cut_from_tool and one.lag == LAG_SECONDS for one in alive)
        if not plain or cluster.cuts or self.world.redirects or self.operator_acted or not cluster.can_commit:
            return False
        joined = cluster.is_voter(self.joiner) and self.joiner in alive and self.joiner.serves_at is not None
        gone = self._old_was_there and not self._old_is_there()
        return joined if self.verb in ("join", "add") else gone if self.verb == "remove" else joined and gone

    def _old_is_there(self) -> bool:
        return any(row.id in self.old_ids for row in self.cluster.state.rows.values())

    def heal(self) -> None:
        """Everything that failed comes back, and is given time. What the tool stopped stays stopped."""
        for cluster in self.world.clusters:
            cluster.heal()
            for one in cluster.machines.values():
                self._mend(cluster, one)
        self.world.redirects.clear()
        self.world.hook = no_fault
        self.world.clock.move(SETTLE_SECONDS)

    def _mend(self, cluster: SimCluster, one: Machine) -> None:
        one.cut_from_tool, one.lag, one.delay = False, LAG_SECONDS, DELAY_SECONDS
        if one.condition == "paused":
            one.resumes_at = self.world.clock.world
            cluster.resume(one)
        elif one.condition == "dead" and one.name not in self.world.witness.stopped:
            cluster.start(one)

    def finish(self) -> Ending:
        """P6: healed, and the same command again, ends at the goal or at the start."""
        before = {row.id for row in self.cluster.state.rows.values()}
        self.heal()
        witness = self.world.witness
        ours = witness.registered
        back = (self.cluster.state.rows.keys() - before) & ours
        if back and self.last.error is not None and claims_undone(self.last.error):
            witness.fail(f"P4: {', '.join(f'{one:x}' for one in back)} came back behind the end of the run")
        ending = self.run()
        if ending.error is not None:
            # What a record of the dead run holds (a seat, a lock) ends by its lease: the user waits and repeats once.
            self.world.clock.move(SETTLE_SECONDS)
            ending = self.run()
        left = [row for row in self.cluster.state.learners if row.id in ours]
        if left and not self.operator_acted:
            witness.fail(f"P6: healed and run again, and a learner of ours is left: {left[0].id:x} ({ending})")
        if self.cluster.is_voter(self.joiner) and not self.joiner.runs(self.world.clock.world):
            witness.fail(f"P6: healed and run again, and {self.joiner.name} is a voter that does not run ({ending})")
        return ending

    def verdict(self, replay: str) -> None:
        """Raise `Unsound` with everything that was broken and how to see it again."""
        if self.world.witness.broken:
            told = "\n  ".join(dict.fromkeys(self.world.witness.broken))
            raise Unsound(f"{told}\n  replay: {replay}\n" + "\n".join(self._story()))

    def _story(self) -> list[str]:
        """Every fault, effect and end, and the calls that led to the first broken property."""
        trace = self.world.trace
        first_broken = next(number for number, line in enumerate(trace) if " BROKEN " in line)
        calls = range(first_broken - _SHOWN_CALLS, first_broken + 1)
        return [line for number, line in enumerate(trace) if number in calls or _WORTH_TELLING.search(line)]


def scene(
    verb: Verb = "join",
    *,
    voters: int = 3,
    version: str = "3.6.16",
    seeds: Sequence[str] | None = None,
    advertised: Mapping[str, tuple[str, ...]] | None = None,
    name: str = "new",
    loses_publish: bool = False,
    choose: Callable[[str, int], int] = first,
) -> Scene:
    """A healthy cluster n1.. of that size and version, and the machine `name` that is to join it. `advertised`: the client
    URLs of members that do not tell their true one. `loses_publish`: the joiner serves no client for 7 s."""
    world = World(choose)
    machines = [machine(f"n{number}") for number in range(1, voters + 1)]
    for one in machines:
        one.advertised = (advertised or {}).get(one.name, one.advertised)
    cluster = world.cluster(version, machines)
    joiner = machine(name, peer_urls=("http://new:2380",), client_addresses=("new:2379",), advertised=("http://new:2379",))
    joiner.loses_publish = loses_publish
    cluster.machines[joiner.name] = joiner
    # Some time has passed since it was made, so that ids of the same second are not the rule.
    world.clock.move(5.0)
    addresses = seeds if seeds is not None else [one.client_addresses[0] for one in machines]
    return Scene(world, cluster, verb, joiner, list(addresses))
