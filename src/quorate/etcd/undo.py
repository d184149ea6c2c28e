"""Taking back a join that failed before promotion, run by the same rule: observe, decide, check, one step, observe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core.actions import Action, Do, Done, Refuse, Remove, StartMember, StopMember, Wait, WipeData
from quorate.core.decide_undo import TakeBack, decide_undo
from quorate.core.invariants import Limits
from quorate.core.membership import ClusterView
from quorate.deadline import Deadline
from quorate.errors import QuorateError
from quorate.etcd.change import Changer
from quorate.etcd.endpoint import Endpoint
from quorate.etcd.errors import EtcdError
from quorate.etcd.observe import Patience, observe
from quorate.etcd.runtime import JoinSpec, Runtime
from quorate.report import Event, Report

_SECONDS = 20.0
_POLL_SECONDS = 0.1
_PATIENCE = Patience(members=1.5, status=0.5)


@dataclass(frozen=True, slots=True)
class Undo:
    """One joiner to take back. `ours` and `promotion_unknown` as the join knows them."""

    changer: Changer
    runtime: Runtime
    seeds: Sequence[Endpoint]
    limits: Limits
    spec: JoinSpec
    report: Report
    ours: bool
    promotion_unknown: bool

    def run(self) -> str:
        """Take the learner back if it is ours and has no vote; returns what is the case now, in words."""
        name, had_data = self.spec.name, self.runtime.has_leftovers(self.spec.name)
        self.report(Event("undo", name, "taking back what is half done"))
        try:
            refusal = self._reach_goal()
        except QuorateError as error:
            return f"{name} could not be undone ({error.what}); run the same command again"
        data = ", its data is deleted" if had_data else "; if its etcd was started, stop it and delete its data directory"
        return refusal or f"{name} was taken back: the member list is as before{data}"

    def _reach_goal(self) -> str | None:
        deadline = Deadline(self.changer.clock, _SECONDS, f"taking back {self.spec.name}")
        why = "no answer from the cluster"
        while not deadline.expired:
            try:
                view = self._look()
            except EtcdError as error:
                why = error.what
                self.changer.clock.sleep(_POLL_SECONDS)
                continue
            match decide_undo(view, self._goal()):
                case Done():
                    return None
                case Refuse(why=reason, advice=advice):
                    return "; ".join(filter(None, (reason, advice)))
                case Wait(why=why):
                    self.changer.clock.sleep(_POLL_SECONDS)
                case Do(action=action):
                    self._do(action, view)
        raise deadline.error(because=why)

    def _look(self) -> ClusterView:
        """The cluster, without asking the joiner: it is on its way out."""
        return observe(
            self.changer.access, self.seeds, self.changer.clock, patience=_PATIENCE, unasked_urls={self.spec.peer_url}
        )

    def _goal(self) -> TakeBack:
        name = self.spec.name
        running = self.runtime.process(name).state in ("running", "failing")
        return TakeBack(
            name,
            self.spec.peer_url,
            self.ours,
            self.promotion_unknown,
            running,
            self.runtime.has_data(name),
            self.runtime.has_leftovers(name),
        )

    def _do(self, action: Action, view: ClusterView) -> None:
        match action:
            case StopMember(name=name):
                self.runtime.stop(name)
            case StartMember(name=name, initial_cluster=rows):
                self.runtime.start(name, rows)
            case WipeData(name=name):
                self.runtime.wipe(name)
            case Remove():
                self.changer.carry_out(action, view, self.limits)
            case _:
                raise AssertionError(f"an undo never decides {action}")
