"""What has to be so still when an action of the autopilot is sent: who acts, what was ordered, and on which cluster.

A decision is made on one look, and an instance may stand still behind it for any time. So each action, whatever it changes,
asks the same at its last moment: that this instance has the key, that no order came, and that the voters are those of the
decision, with the same ones silent. An instance that stood still removed a living voter where another had died meanwhile, and a
standby whose seat nobody waited for any more."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from quorate.core.autopilot.case import names_of
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import Refused
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.coordination.autopilot_store import ActingKey, AutopilotStore

_STATUS = "quorate autopilot status"


@dataclass(frozen=True, slots=True)
class Decided:
    """What an action was decided on. `members`: whose vote or seat it takes: an operator's hold on them forbids it."""

    key: ActingKey
    view: ClusterView
    orders: Orders
    members: tuple[int, ...] = ()

    def refuse_overtaken(self) -> None:
        """Raises `Refused` where another instance acts by now, or an order came meanwhile."""
        if not self.key.is_still_ours():
            raise Refused(
                "another instance of the autopilot acts now", state="nothing was changed", advice=f"{_STATUS}    # shows which"
            )
        self._refuse_ordered()

    def _refuse_ordered(self) -> None:
        now, wall = self.key.store.read(), self.key.store.clock.wall()
        held = [one for one in self.members if one in now.holds and now.holds[one].forbids(wall)]
        why = "; ".join(now.troubles)
        if now.pause is not None and now.pause.forbids(wall):
            why = "an operator paused it meanwhile"
        elif held:
            why = f"an operator holds {', '.join(map(format_id, held))} meanwhile"
        elif now.generation != self.orders.generation:
            why = "the policy was changed meanwhile"
        if why:
            raise Refused(why, state="nothing more was changed", advice=_STATUS)

    def refuse_changed(self, now: ClusterView, unasked: Collection[int] = ()) -> None:
        """Raises `Refused` where the voters of `now` are others than at the decision, or another one is silent. `unasked`: whom
        the last look did not ask."""
        before, after = ({voter.id for voter in view.voters} for view in (self.view, now))
        if before != after:
            raise Refused(
                "the voters are not those any more on which this was decided", state="nothing was changed", advice=_STATUS
            )
        changed = [
            voter
            for voter in now.voters
            if voter.id not in unasked and (now.answer(voter.id) is None) != (self.view.answer(voter.id) is None)
        ]
        if changed:
            does = "is silent" if now.answer(changed[0].id) is None else "answers again"
            raise Refused(f"{names_of(changed)} {does} since this was decided", state="nothing was changed", advice=_STATUS)


def refuse_provided(decided: Decided, cluster: Cluster, wanted: int) -> None:
    """Raises `Refused` where no standby is to be made any more: it was ordered so, another instance acts, or as many are there
    as are wanted."""
    decided.refuse_overtaken()
    marked, now = decided.key.store.read().standbys, cluster.look()
    if sum(one.id in marked for one in now.learners) >= wanted:
        raise Refused("the standby is there by now", state="nothing was changed", advice=_STATUS)


def end_void_notes(store: AutopilotStore, orders: Orders, view: ClusterView) -> None:
    """Deletes the notes of changes that were cut off before their first step, which a later look shows: the voter that was to
    go answers again. The next instance would finish them, whatever an operator does meanwhile."""
    owed = view.by_id(orders.owed.instead) if orders.owed is not None else None
    with suppress(EtcdError):
        if owed is not None and not owed.is_learner and view.answer(owed.id) is not None:
            store.end_owing()
