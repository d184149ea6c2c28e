"""What a run without an end reports of its decisions: each once, again when it changes, and now and then while it waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quorate.config.policy_document import flat_document
from quorate.core.autopilot.case import Next, Page, Wait
from quorate.core.autopilot.policy import Policy
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, in_order
from quorate.deadline import Clock
from quorate.etcd.autopilot.loop import Round, next_fields, word_of
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.loggers import logger
from quorate.report import Notice, Report

_LOGGER = logger(__name__)
_AGAIN_SECONDS = 30.0
"""A wait whose numbers change is reported again after so long: a minute of silence looked like a program that hangs."""


@dataclass(slots=True)
class DecisionLog:
    """Reports the decisions of one instance. `advised`: returns a decision's reason, with what an operator can do about it."""

    report: Report
    clock: Clock
    advised: Callable[[Next], str]
    _watched: tuple[int, Policy] | None = None
    _acting: str = ""
    _word: tuple[type, str] | None = None
    _text: str = ""
    _at: float = 0.0

    def __call__(self, decided: Round) -> None:
        """Reports a decision, where there is something new to be said about it."""
        self._introduce(decided)
        found, now = decided.next, self.clock.now()
        text, word = f"{found.rule}: {self.advised(found)}", word_of(found)
        is_due = isinstance(found, Wait) and text != self._text and now - self._at >= _AGAIN_SECONDS
        if word == self._word and not is_due:
            return
        if word != self._word:
            _LOGGER.info("%s: %s", found.rule, found.why, extra={"fields": next_fields(found)})
        self._word, self._text, self._at = word, text, now
        shown = f"{text}{_age(decided)}"
        self.report(Notice(shown, "warning") if isinstance(found, Page) else Notice(shown))

    def _introduce(self, decided: Round) -> None:
        """Says who acts, which cluster is watched, and by which policy; again when that changes."""
        view, orders = decided.view, decided.orders
        if view is None or orders is None or decided.policy is None or decided.read_ago:
            return
        acting = _acting(decided, orders)
        if acting not in ("", self._acting):
            self._acting = acting
            self.report(Notice(acting))
        watched = (view.cluster_id, decided.policy)
        if watched == self._watched:
            return
        fields = ", ".join(f"{path} {value}" for path, value in flat_document(decided.policy).items())
        number = f"policy number {orders.generation}" if orders.policy is not None else "no policy is set, so"
        self._watched = watched
        self.report(Notice(f"watching {_members(view, orders)}; {number}: {fields}"))


def _acting(decided: Round, orders: Orders) -> str:
    """Returns which instance acts; empty where that was not read."""
    if decided.acts:
        return "this instance acts"
    other = orders.instance
    return f"{other.origin.host} (pid {other.origin.pid}) acts, and this instance only watches" if other is not None else ""


def _members(view: ClusterView, orders: Orders) -> str:
    def named(member_id: int, name: str) -> str:
        return name or format_id(member_id)

    rows = in_order(view)
    voters = [named(one.id, one.name) for one in rows if not one.is_learner]
    standbys = [named(one.id, one.name) for one in rows if one.is_learner and one.id in orders.standbys]
    learners = [named(one.id, one.name) for one in rows if one.is_learner and one.id not in orders.standbys]
    groups = (("voters", voters), ("standbys", standbys), ("learners", learners))
    listed = "; ".join(f"{word} {', '.join(names)}" for word, names in groups if names)
    return f"cluster {format_id(view.cluster_id)}: {listed}"


def _age(decided: Round) -> str:
    if decided.orders is None:
        return "; the policy and the orders were not read yet"
    return f"; the policy and the orders are those of {decided.read_ago:.0f} s ago" if decided.read_ago else ""
