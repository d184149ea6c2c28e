"""A hook that follows a script: the first point that fits, then what happens there, then the next line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.sim.scene import Scene
from model.sim.world import Fate, Point

When = Callable[[Scene, Point], bool]
What = Callable[[Scene], Fate | None]


@dataclass
class Script:
    """`lines` happen in order, each once."""

    scene: Scene
    lines: list[tuple[When, What]]

    def __call__(self, point: Point) -> Fate:
        if not self.lines or not self.lines[0][0](self.scene, point):
            return ""
        _, what = self.lines.pop(0)
        self.scene.world.fault(f"by script ({point.when} {point.what} at {point.where or 'the tool'})")
        return what(self.scene) or ""


def scripted(scene: Scene, *lines: tuple[When, What]) -> Scene:
    scene.world.hook = Script(scene, list(lines))
    return scene


def before(what: str, where: str = "") -> When:
    return lambda _scene, point: (point.when, point.what) == ("before", what) and where in ("", point.where)


def after(what: str, where: str = "") -> When:
    return lambda _scene, point: (point.when, point.what) == ("after", what) and where in ("", point.where)


def noted(text: str) -> When:
    """At a journal record, its kind and what it is about."""
    return lambda _scene, point: point.when == "note" and point.what == text


def serving(scene: Scene, point: Point) -> bool:
    """Before the first write while the joiner is a learner that answers: the proof begins."""
    row = scene.cluster.state.rows.get(scene.joiner.member_id)
    learner = row is not None and row.is_learner and scene.joiner.serves_at is not None
    return learner and (point.when, point.what) == ("before", "Put")


def joiner_runs(scene: Scene, point: Point) -> bool:
    """Before a member list while the joiner's process is there."""
    return scene.joiner.condition == "running" and (point.when, point.what) == ("before", "MemberList")


def both(*deeds: What) -> What:
    """Several things at one point; the last one says what becomes of the call."""

    def all_of_them(scene: Scene) -> Fate | None:
        fates = [deed(scene) for deed in deeds]
        return fates[-1]

    return all_of_them
