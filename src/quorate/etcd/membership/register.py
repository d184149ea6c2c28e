"""Registers a learner and does nothing more, as `etcdctl member add --learner` does, by the engine's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from quorate.core.actions import AddLearner, Do, Done
from quorate.core.invariants import Limits
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Deadline, SystemClock
from quorate.errors import OutcomeUnknown, QuorateError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.membership.engine import PutOff, drive
from quorate.etcd.membership.executor import (
    Applied,
    Indeterminate,
    MembershipExecutor,
    Note,
    Outcome,
    Rejected,
    confirm_by_looking,
)
from quorate.etcd.observation.look import LookTimeouts, observe

_PATIENCE = LookTimeouts(members=2.0, status=1.0)
_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Registration:
    """One run for `action`. `seconds`: how long to retry while etcd refuses for now."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    note: Note
    seconds: float
    action: AddLearner
    _outcome: Outcome | None = None
    _before: ClusterView | None = None

    def run(self) -> tuple[Member, ClusterView]:
        """Adds the learner; returns it with the list that has it.

        Raises `UnsafeStep` or an `EtcdError` with nothing changed, `OutcomeUnknown` when only another look can tell.
        """
        deadline = Deadline(self.clock, self.seconds, f"adding {self.action.name}")
        drive(self, self.clock, deadline, every=_POLL_SECONDS)
        outcome, before = self._outcome, self._before
        if outcome is None or before is None:
            raise AssertionError("a registration asks at least once")
        if isinstance(outcome, Rejected):
            outcome.error.state = "nothing was changed"
            raise outcome.error
        return self._listed(self.action, outcome, before)

    # -- one round of the engine -----------------------------------------------------------------------------------------

    def look(self) -> ClusterView:
        return observe(self.access, self.seeds, self.clock, patience=_PATIENCE)

    def decide(self, _view: ClusterView) -> Do[AddLearner]:
        """Returns the only step; the run is over once etcd has applied it or may have."""
        return Do(self.action)

    def perform(self, step: AddLearner, view: ClusterView) -> Done | PutOff:
        self._before = view
        executor = MembershipExecutor(self.access, self.clock, self.note)
        confirm = confirm_by_looking(self.access, self.look, self.clock)
        outcome = self._outcome = executor.carry_out(step, view, Limits(view.cluster_id), confirm)
        if isinstance(outcome, Rejected) and outcome.error.disposition != "final":
            return PutOff(outcome.error.what)
        return Done()

    def _listed(self, action: AddLearner, outcome: Outcome, before: ClusterView) -> tuple[Member, ClusterView]:
        known = outcome.member_id if isinstance(outcome, Applied) else 0
        try:
            view = self.look()
        except QuorateError:
            if not known:
                raise
            # The learner is registered: only the look at it failed.
            added = Member(known, "", action.peer_urls, is_learner=True)
            return added, replace(before, members=(*before.members, added))
        member = view.by_id(known) if known else view.by_peer_urls(action.peer_urls)
        if member is not None and view.linearizable:
            return member, view
        what = outcome.error.what if isinstance(outcome, Indeterminate) else "it is not listed"
        raise OutcomeUnknown(
            f"it is unknown whether {action.name} was added: {what}",
            state="a learner may appear in the member list; it has no vote",
            advice="check with 'quorate etcd members', then run the same command again",
        )
