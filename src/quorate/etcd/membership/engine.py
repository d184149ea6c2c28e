"""The loop that every change of the member list runs in: observe, decide, check, do one thing, and observe again (decision 1).

Joins, their undo, removals, registrations and convergence differ in what they look at, decide and carry out, never in the order
(docs/decisions/0001). A decision is made on a view that was just taken and is carried out once. The next look shows its effect,
so a lost answer, a crash of this tool and another tool's change between two rounds are all the same case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from quorate.core.actions import DecisionOf, Do, Done, Refuse, StepT, Wait
from quorate.core.membership import ClusterView
from quorate.deadline import Deadline, SystemClock
from quorate.errors import Refused
from quorate.loggers import logger

_LOGGER = logger(__name__)
NOT_SEEN_SECONDS = 0.1
"""Seconds between two looks at a cluster that does not answer."""


def do_nothing() -> None:
    """Does nothing: for runs that keep nothing alive."""


def fit(_view: ClusterView) -> None:
    """Has nothing to say against any last look."""


@dataclass(frozen=True, slots=True)
class LastWord:
    """What whoever decided on a change has to say while it is carried out. `tick`: called in every round, for what must be kept
    alive meanwhile. At the last moment: `still` asks others, and `fits` judges the last look by itself, right before the change
    is sent; each raises what speaks against it."""

    tick: Callable[[], None] = do_nothing
    still: Callable[[], None] = do_nothing
    fits: Callable[[ClusterView], None] = fit


NO_LAST_WORD = LastWord()


@dataclass(frozen=True, slots=True)
class NotSeen:
    """The cluster does not answer now, but may later."""

    why: str


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The goal was not reached in time; `why` is what the run waited for last."""

    why: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """The step did not succeed now; the next look decides again."""

    why: str


class Run(Protocol[StepT]):
    """The three parts of the loop that differ between kinds of runs. Each raises the error that ends the run."""

    def look(self) -> ClusterView | NotSeen:
        """Observes the cluster, and keeps alive what must not expire meanwhile."""
        ...

    def decide(self, view: ClusterView) -> DecisionOf[StepT]:
        """Returns the next step, from what this look showed."""
        ...

    def perform(self, step: StepT, view: ClusterView) -> Done | PutOff | None:
        """Checks the step against the invariants and carries it out once. Returns `Done` when the answer itself proves that the
        goal is reached."""
        ...


def drive(run: Run[StepT], clock: SystemClock, deadline: Deadline, *, every: float) -> Done | Refuse | OutOfTime:
    """Takes one step after the other until nothing is left to do; `every`: seconds between two looks that only wait."""
    why, looked_late = "no answer from the cluster", False
    # When time is up it is looked once more: this machine may have been suspended while the members went on. What that look
    # shows to be progress extends the deadline, and the run goes on: a join that was suspended for an hour would otherwise be
    # rolled back although its learner has long caught up, with the proof, the promotion and the check of the voter still to do.
    while not (deadline.expired and looked_late):
        looked_late = deadline.expired
        clock.cancel.check()
        view = run.look()
        if isinstance(view, NotSeen):
            why = view.why
            _LOGGER.debug("the cluster was not seen: %s", why)
            clock.sleep(NOT_SEEN_SECONDS)
            continue
        decision = run.decide(view)
        log_decision(decision)
        match decision:
            case Done() | Refuse() as end:
                return end
            case Wait(why=why):
                clock.sleep(every)
            case Do(action=step):
                match run.perform(step, view):
                    case Done() as end:
                        return end
                    case PutOff(why=why):
                        _LOGGER.info("put off: %s", why)
                        clock.sleep(every)
                    case None:
                        pass
    return OutOfTime(why)


@contextmanager
def logging_refusals() -> Iterator[None]:
    """Logs a refusal in the block, as the loop logs its own: for what is judged before the first round."""
    try:
        yield
    except Refused as refused:
        log_decision(Refuse(refused.what, refused.own_advice))
        raise


def log_decision(decision: DecisionOf[StepT]) -> None:
    """Logs a decision. Waits are many: they are for those who want everything."""
    match decision:
        case Do(action=step):
            fields = {"decision": "do", "step": repr(step)}
            _LOGGER.info("decided: %s %s", type(step).__name__, getattr(step, "name", ""), extra={"fields": fields})
        case Wait(why=why):
            _LOGGER.debug("decided to wait: %s", why, extra={"fields": {"decision": "wait", "why": why}})
        case Refuse(why=why):
            _LOGGER.info("decided to refuse: %s", why, extra={"fields": {"decision": "refuse", "why": why}})
        case Done():
            _LOGGER.info("decided: done", extra={"fields": {"decision": "done"}})
