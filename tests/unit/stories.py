"""Tells the engine's decisions as stories: a file of commands, each followed by what the engine then decides and what there is.

A story runs in the world that `tests/model` explores: etcd's rules in memory, and the real `decide_join`, `decide_undo` and
`invariants`. `make stories` writes what comes out into the files; a change of a decision is then a change of a text to review.

Commands:

    cluster N [older] [seats=K]  N voters run, m0 leads; "older": an etcd that asks for every voter's link when a member is
                         added; K: learners that may exist side by side
    join mX [mY]         the tool is run for these
    look                 the tool looks at the cluster and decides; nothing is done yet
    act [lost | lost-before]  what was decided is done after a last look; the answer, or the request itself, is lost
    run                  look and act until it only waits, is done, or refuses
    ready mX [mute]      a learner that runs has its data; "mute": its publish was lost inside the snapshot
    kill|start|cut|heal mX
    elect                the voters elect
    crash                the tool dies and is run again
    interrupt            the tool is interrupted: it rolls back
    operator add|promote|remove mX
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model import etcd_rules, world
from model.world import Memory, Reply3, World

from quorate.core.actions import Action, AddLearner, Do, Done, Promote, Refuse, Remove, Wait
from quorate.core.decide_join import JoinGoal, decide_join
from quorate.core.invariants import Limits, Step, violations
from quorate.core.membership import margin_of

FOLDER = Path(__file__).parent / "testdata" / "join"
_SLOTS = 6
_MOST_STEPS = 40


@dataclass
class Story:
    """A world between two commands; `said` is the newest decision."""

    now: World
    said: str = ""

    def tell(self, line: str) -> list[str]:
        """Carries out one command; returns what there is afterwards."""
        command, *words = line.split()
        before = world.real_margin(self.now.etcd) if self.now.etcd.nodes else 0
        getattr(self, f"_{command}")(*words)
        if command in ("act", "run") and self.now.quiet:
            # The law of every story, whatever it is about: what the tool does never lowers the margin.
            assert world.real_margin(self.now.etcd) >= before, line
        return [*([self.said] if command in ("look", "act", "run") else []), *self._state()]

    def _state(self) -> list[str]:
        etcd = self.now.etcd
        rows = [_row(etcd, slot) for slot in range(len(etcd.nodes)) if etcd.nodes[slot].role != "none"]
        data = [f"m{memory.slot}" for memory in self.now.tool if memory.has_data and etcd.nodes[memory.slot].role == "none"]
        left = [f"data left of: {', '.join(data)}"] if data else []
        return [f"members: {', '.join(rows)}", *left, f"margin: {margin_of(world.view_of(self.now))}"]

    # -- the commands ----------------------------------------------------------------------------------------------------

    def _cluster(self, count: str, *words: str) -> None:
        up = etcd_rules.Node("voter", started=True, running=True, aligned=True, serving=True)
        nodes = (up,) * int(count) + (etcd_rules.Node(),) * (_SLOTS - int(count))
        seats = next((int(word.removeprefix("seats=")) for word in words if word.startswith("seats=")), 1)
        self.now = World(etcd_rules.Etcd(nodes, 0, seats, all_connected="older" in words), ())

    def _join(self, *names: str) -> None:
        self.now = self.now._replace(tool=tuple(Memory(_slot(name)) for name in names), phase="join")

    def _look(self) -> None:
        self.said = _decided(self.now)
        self.now = world.decide(self.now)

    def _act(self, reply: str = "answered") -> None:
        action = self.now.pending
        refusal = self._last_look(action)
        if refusal:
            self.said, self.now = f"not sent: {refusal}", self.now._replace(pending=None)
            return
        replies: dict[str, Reply3] = {"answered": "answered", "lost": "lost-after", "lost-before": "lost-before"}
        before = self.now.etcd
        self.now = world.act(self.now, replies[reply])
        asked = isinstance(action, AddLearner | Promote | Remove) and reply == "answered"
        verb = "etcd refuses" if asked and self.now.etcd == before else "done"
        self.said = f"{verb}: {_words(action)}" + ("" if reply == "answered" else f", {reply}")

    def _last_look(self, action: Action | None) -> str:
        """What the executor does directly before a change is sent: it looks once more, and proves once more."""
        if not isinstance(action, AddLearner | Promote | Remove):
            return ""
        view = world.view_of(self.now)
        broken = dict(violations(Step(view, action, Limits(world.CLUSTER, world.seats(self.now)), 0.0)))
        if isinstance(action, Promote) and view.answer(action.member_id) is None:
            return "the learner did not apply what was just written"
        return "; ".join(broken.values())

    def _run(self) -> None:
        done: list[str] = []
        for _ in range(_MOST_STEPS):
            phase = self.now.phase
            self._look()
            if self.now.pending is None and self.now.phase == phase:
                break
            if self.now.pending is not None:
                self._act()
                done.append(self.said)
            if self.now.phase not in ("join", "undo") or not self.said.startswith(("done", "decides")):
                break
        self.said = "\n".join(dict.fromkeys([*done, self.said]))

    def _ready(self, name: str, how: str = "") -> None:
        self._change(name, aligned=True, started=True, serving=how != "mute")

    def _kill(self, name: str) -> None:
        self._change(name, running=False, serving=False)

    def _start(self, name: str) -> None:
        self._change(name, running=True, serving=self.now.etcd.nodes[_slot(name)].started)

    def _cut(self, name: str) -> None:
        self._change(name, cut=True)

    def _heal(self, name: str) -> None:
        self._change(name, cut=False)

    def _change(self, name: str, **changes: bool) -> None:
        etcd = etcd_rules.replace(self.now.etcd, _slot(name), **changes)
        self.now = self.now._replace(etcd=etcd if etcd_rules.can_commit(etcd) else etcd._replace(leader=None), quiet=False)

    def _elect(self) -> None:
        self.now = next(world.progress(self.now), self.now)

    def _crash(self) -> None:
        self.now = world.crash(self.now)

    def _interrupt(self) -> None:
        self.now = self.now._replace(phase="undo", pending=None)

    def _operator(self, verb: str, name: str) -> None:
        change = {"add": etcd_rules.add_learner, "promote": etcd_rules.promote, "remove": etcd_rules.remove}[verb]
        verdict, after = change(self.now.etcd, _slot(name))
        assert verdict == "ok", f"etcd says {verdict}"
        self.now = self.now._replace(etcd=after, quiet=False)


def _slot(name: str) -> int:
    return int(name.removeprefix("m"))


def _row(etcd: etcd_rules.Etcd, slot: int) -> str:
    node = etcd.nodes[slot]
    role = "leader" if etcd.leader == slot and etcd_rules.can_commit(etcd) else node.role
    flaws = [
        "" if node.running else "dead" if node.started else "not started",
        "cut off" if node.cut else "",
        "no data yet" if node.running and not node.aligned else "",
        "does not answer" if node.running and node.aligned and not node.serving else "",
    ]
    found = ", ".join(filter(None, flaws))
    return f"m{slot} {role}" + (f" ({found})" if found else "")


def _decided(now: World) -> str:
    view = world.view_of(now)
    if now.phase == "undo":
        after = world.decide(now)
        if after.pending is not None:
            return f"decides: {_words(after.pending)}"
        ends = {"forward": "undoes nothing: only the same command leads on", "start": "rolled back: the members are as before"}
        return ends.get(after.phase, "waits for a list that is read through the quorum")
    learned = world.learn(now, view)
    goal = JoinGoal(tuple(world.joiner_of(learned, memory) for memory in learned.tool), world.seats(now))
    match decide_join(view, goal, 0.0):
        case Do(action=action):
            return f"decides: {_words(action)}"
        case Wait(why=why):
            return f"waits: {why}"
        case Refuse(why=why):
            return f"refuses: {why}"
        case Done():
            return "goal reached: every joiner is a verified voter"


def _words(action: Action | None) -> str:
    if action is None:
        return "nothing"
    name = getattr(action, "name", "") or f"m{getattr(action, 'member_id', 0) - 1}"
    return f"{type(action).__name__} {name}"


@dataclass(frozen=True)
class Scene:
    """One command of a file, with the remarks above it, and what the file says comes out."""

    remarks: tuple[str, ...]
    command: str
    expected: tuple[str, ...]


def read(text: str) -> Iterator[Scene]:
    """The commands of a file; each is followed by its outcome, indented."""
    remarks, command, expected = list[str](), "", list[str]()
    for line in [*text.splitlines(), ""]:
        if line.startswith("    "):
            expected.append(line.strip())
            continue
        if command:
            yield Scene(tuple(remarks), command, tuple(expected))
            remarks, command, expected = [], "", []
        if line.startswith("#") or not line.strip():
            remarks.append(line)
        else:
            command = line.strip()


def told(text: str) -> str:
    """The text of a file as it is when its commands are carried out."""
    story, lines = Story(World(etcd_rules.Etcd((), None), ())), list[str]()
    for scene in read(text):
        lines += [*scene.remarks, scene.command]
        lines += [f"    {one}" for row in story.tell(scene.command) for one in row.splitlines()]
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.txt")):
        path.write_text(told(path.read_text()))
