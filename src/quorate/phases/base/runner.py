"""Trees of phases: which there are, in which order, and running them all, some, or one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from quorate.deadline import Clock
from quorate.errors import ConfigError
from quorate.report import PhaseDone, PhaseReport

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Late:
    """A step: a function of `quorate.phases`, as module.function, imported when it is taken. A tree is also what helps are made
    from, and those must not pay for gRPC and certificates. `arguments` follow the run."""

    path: str
    arguments: tuple[Any, ...] = ()

    def load(self) -> Callable[..., Any]:
        module, _, name = self.path.rpartition(".")
        found: Callable[..., Any] = getattr(importlib.import_module(f"quorate.phases.{module}"), name)
        return found

    def __call__(self, run: Any) -> Any:
        return self.load()(run, *self.arguments)


def always(_run: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Phase(Generic[R]):
    """A step with a name that users can call alone or skip; with `children`, those in their order instead.

    `flags`: names of the options that its own command takes. `when`: whether it applies to a run at all. `hidden`: not shown
    in helps, as for kubeadm.
    """

    name: str
    help: str
    run: Callable[[R], None] | None = None
    children: tuple[Phase[R], ...] = ()
    flags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    when: Callable[[R], bool] = always
    hidden: bool = False


def paths(tree: Sequence[Phase[R]], above: str = "") -> Iterator[tuple[str, Phase[R]]]:
    """Every phase with its path (certs/ca), parents before children, in the order in which they run."""
    for phase in tree:
        path = f"{above}/{phase.name}" if above else phase.name
        yield path, phase
        yield from paths(phase.children, path)


def check_skipped(tree: Sequence[Phase[R]], skipped: Iterable[str]) -> None:
    """Raises `ConfigError` for names that are no phase: a typing error must not run what was to be skipped."""
    known = {path for path, _ in paths(tree)}
    known |= {f"{path.rpartition('/')[0]}/{alias}".lstrip("/") for path, phase in paths(tree) for alias in phase.aliases}
    wrong = [name for name in skipped if name not in known]
    if wrong:
        raise ConfigError(f"there is no phase {', '.join(wrong)}", advice=f"phases are: {', '.join(sorted(known))}")


Around: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""What is done around each phase of the first level, by its name."""


def untold(_name: str) -> AbstractContextManager[None]:
    return nullcontext()


def run_all(tree: Sequence[Phase[R]], run: R, skipped: Iterable[str] = (), around: Around = untold) -> None:
    """Run a tree in order. Skipping a parent skips its children."""
    skip = frozenset(skipped)
    check_skipped(tree, skip)
    _run(tree, run, skip, "", around)


def _run(tree: Sequence[Phase[R]], run: R, skip: frozenset[str], above: str, around: Around = untold) -> None:
    for phase in tree:
        names = {f"{above}{name}" for name in (phase.name, *phase.aliases)}
        if names & skip or not phase.when(run):
            continue
        with around(phase.name):
            if phase.run is not None:
                phase.run(run)
            _run(phase.children, run, skip, f"{above}{phase.name}/")


@contextmanager
def timed(clock: Clock, report: PhaseReport, name: str) -> Iterator[None]:
    """Tell how long a phase took, whether it worked or not."""
    began, failed = clock.now(), True
    try:
        yield
        failed = False
    finally:
        report(PhaseDone(name, clock.now() - began, failed))


def run_one(phase: Phase[R], run: R, around: Around = untold) -> None:
    """Run a single phase, or all children of a parent, as `phase NAME all` does."""
    _run([phase], run, frozenset(), "", around)
