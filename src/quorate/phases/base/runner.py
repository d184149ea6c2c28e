"""Trees of phases: their names and order, and running all, some, or one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from quorate.core.suggestions import close, did_you_mean
from quorate.deadline import Clock
from quorate.errors import ConfigError
from quorate.loggers import logger
from quorate.report import PhaseDone, PhaseReport

_LOGGER = logger(__name__)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase that users can call alone or skip, as data: helps and commands are made from it without importing its code.

    `flags`: names of the options of its own command. `hidden`: not shown in helps, as in kubeadm.
    """

    name: str
    help: str
    children: tuple[Phase, ...] = ()
    flags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Steps(Generic[R]):
    """The functions of a tree's phases, by path (certs/ca). `do`: carries the phase out, before its children. `when`: returns
    whether the phase applies to the run. A test keeps the paths equal to those of the tree."""

    do: Mapping[str, Callable[[R], None]]
    when: Mapping[str, Callable[[R], bool]] = field(default_factory=dict[str, Callable[[R], bool]])


def paths(tree: Sequence[Phase], above: str = "") -> Iterator[tuple[str, Phase]]:
    """Yields every phase with its path (certs/ca), parents before children, in the order in which they run."""
    for phase in tree:
        path = f"{above}/{phase.name}" if above else phase.name
        yield path, phase
        yield from paths(phase.children, path)


def check_skipped(tree: Sequence[Phase], skipped: Iterable[str]) -> None:
    """Raises `ConfigError` for an unknown phase: a typing error must not run what was to be skipped."""
    if wrong := unknown(tree, skipped):
        raise ConfigError(
            f"there is no phase {', '.join(wrong)}", advice=question(tree, wrong) or f"phases are: {', '.join(offered(tree))}"
        )


def unknown(tree: Sequence[Phase], names: Iterable[str]) -> list[str]:
    """Returns the names that no phase of a tree has."""
    known = {path for path, _ in paths(tree)}
    known |= {f"{path.rpartition('/')[0]}/{alias}".lstrip("/") for path, phase in paths(tree) for alias in phase.aliases}
    return [name for name in names if name not in known]


def offered(tree: Sequence[Phase]) -> list[str]:
    """Returns the phases that the help has. Older names and hidden phases are accepted, and offered to nobody."""
    return [path for path, phase in paths(tree) if not phase.hidden]


def question(tree: Sequence[Phase], wrong: Iterable[str]) -> str:
    """Returns which phases unknown names were probably meant to be; empty where none looks like them."""
    return did_you_mean([near for name in wrong for near in close(name, offered(tree))[:1]])


Around: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""A context manager around each phase of the first level, made from the phase's name."""


def untold(_name: str) -> AbstractContextManager[None]:
    return nullcontext()


def run_all(tree: Sequence[Phase], steps: Steps[R], run: R, skipped: Iterable[str] = (), around: Around = untold) -> None:
    """Runs a tree in order. Skipping a parent skips its children."""
    skip = frozenset(skipped)
    check_skipped(tree, skip)
    _run(tree, steps, run, skip, "", around)


def run_one(tree: Sequence[Phase], steps: Steps[R], path: str, run: R, around: Around = untold) -> None:
    """Runs the phase at `path`, or all children of a parent, as `phase NAME all` does."""
    _run([dict(paths(tree))[path]], steps, run, frozenset(), path.rpartition("/")[0], around)


def _run(  # noqa: PLR0917
    tree: Sequence[Phase], steps: Steps[R], run: R, skip: frozenset[str], above: str, around: Around
) -> None:
    for phase in tree:
        names = {f"{above}/{name}".lstrip("/") for name in (phase.name, *phase.aliases)}
        path = f"{above}/{phase.name}".lstrip("/")
        applies = steps.when.get(path)
        if names & skip or (applies is not None and not applies(run)):
            continue
        _LOGGER.info("phase %s", path, extra={"fields": {"phase": path}})
        with around(phase.name):
            if path in steps.do:
                steps.do[path](run)
            # Told once: the seconds of a parent are those of its children, and a summary adds them up.
            _run(phase.children, steps, run, skip, path, untold)


@contextmanager
def timed(clock: Clock, report: PhaseReport, name: str) -> Iterator[None]:
    """Reports how long a phase took, also when it failed."""
    began, failed = clock.now(), True
    try:
        yield
        failed = False
    finally:
        report(PhaseDone(name, clock.now() - began, failed))
