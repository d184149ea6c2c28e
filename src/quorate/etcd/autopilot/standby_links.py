"""Whether the standbys are linked to the voters that stay: looked for while a voter is silent, before anything is removed.

A promotion judges these links. Where they were looked at only behind the removal, the dead voter was gone, the standby was
refused its vote, and the dead one could not come back either.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Clock
from quorate.etcd.client.connections import Access
from quorate.etcd.membership.external import ExternalProcess
from quorate.etcd.membership.join_state import JoinState, state_of
from quorate.etcd.membership.link_evidence import LinkEvidence
from quorate.etcd.membership.runtime import JoinSpec


@dataclass(slots=True)
class StandbyLinks:
    """The evidence of each learner's links, as a join of it would gather it."""

    access: Access
    clock: Clock
    _found: dict[int, tuple[LinkEvidence, JoinState]] = field(default_factory=dict[int, "tuple[LinkEvidence, JoinState]"])

    def added(self, view: ClusterView) -> ClusterView:
        """Returns the view with what is known of the links of all learners that answer."""
        learners = [one for one in view.learners if view.answer(one.id) is not None and one.peer_urls]
        self._found = {one.id: self._found.get(one.id) or self._begun(one) for one in learners}
        for evidence, track in self._found.values():
            view = evidence.added(view, track)
        return view

    def forget(self) -> None:
        """Ends the watch: what was seen before says nothing of a later loss."""
        self._found.clear()

    def pending(self) -> frozenset[int]:
        """Returns the learners of whose links more will be known in a moment."""
        return frozenset(member for member, (evidence, track) in self._found.items() if not evidence.is_settled(track))

    def _begun(self, learner: Member) -> tuple[LinkEvidence, JoinState]:
        spec = JoinSpec(learner.name, learner.peer_urls[0], None, None, JoinMemory(member_id=learner.id, listed=True))
        runtime = ExternalProcess(learner.name, lambda _name, _rows: None, started=True)
        return LinkEvidence(self.access, self.clock), state_of(spec, runtime, self.clock.now())
