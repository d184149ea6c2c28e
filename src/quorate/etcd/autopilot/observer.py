"""The looks of one autopilot, and what they add up to with the records in etcd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from quorate.core.absence import MOST_BETWEEN_LOOKS, Absence
from quorate.core.autopilot.case import Memory, Owed, Swap
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.sight import Received, Sight, Silence, sight_after, silent_voters, with_earlier
from quorate.core.catch_up import Proof
from quorate.core.membership import ClusterView, Member
from quorate.core.versions import Version
from quorate.deadline import Moment, age, moment
from quorate.etcd.autopilot.standby_links import StandbyLinks
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_records import Order, Orders
from quorate.etcd.coordination.pending_joins import HeldLock, PendingJoin
from quorate.etcd.observation.absence_watch import Witnesses, received_from
from quorate.etcd.observation.catch_up_proof import candidate_of, prove
from quorate.etcd.observation.look import LookTimeouts, endpoint_of, observe

SWAP_SECONDS = 600.0
_Begun = TypeVar("_Begun", Swap, Owed)
_SEAT_SECONDS = 10.0
"""A join asks for its seat within so many seconds; what it waits for then is one that is taken."""

_WITNESS_SECONDS = 15.0
"""How often the metrics of all voters are read while all answer: each page costs a member about a millisecond."""
_SCRAPE_SECONDS = 1.0
_PATIENCE = LookTimeouts(members=1.5, status=0.5)
"""A dead member costs one timeout a look, and a look must not take longer than its proof is fresh."""


@dataclass(slots=True)
class Observer:
    """Looks at one cluster again and again. `witnesses`: for each silent voter, what the pages of the other ones have
    said. `unwitnessed`: the voters whose metrics could not be read when all answered. `links`: of the standbys, while a
    voter is silent."""

    cluster: Cluster
    sight: Sight = field(default_factory=Sight)
    witnesses: dict[int, Witnesses] = field(default_factory=dict[int, Witnesses])
    unwitnessed: frozenset[int] = frozenset()
    links: StandbyLinks = field(init=False)
    waiting_since: dict[str, float] = field(default_factory=dict[str, float])
    _last: Moment | None = None
    _witnessed_at: float | None = None
    _joining: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.links = StandbyLinks(self.cluster.access, self.cluster.clock)

    def look(self, policy: Policy) -> ClusterView:
        """Returns one look, and adds it to what is known. Raises `EtcdError` when no member answers."""
        cluster, began = self.cluster, moment(self.cluster.clock)
        view = cluster.with_alarms(observe(cluster.access, cluster.endpoints, cluster.clock, patience=_PATIENCE))
        if self._last is not None and age(self._last, cluster.clock) > MOST_BETWEEN_LOOKS + view_age(view, cluster):
            # By either clock: those of a virtual machine that was suspended did not count meanwhile, and its wall clock jumps.
            self.sight = replace(self.sight, looked_at=float("-inf"))
        self._last = began
        self.sight = sight_after(self.sight, view, self._received(view), policy)
        self._ask_witnesses(view)
        if not silent_voters(view) or not view.linearizable:
            self.links.forget()
            return view
        return self.links.added(view)

    def begin_with(self, silent: Mapping[int, Silence]) -> None:
        """Takes over since when voters have been silent, from the instance before."""
        self.sight = with_earlier(self.sight, silent)

    def silences(self, seconds: Mapping[int, float]) -> dict[int, Silence]:
        """Returns what is known of the silent voters, for the instance that comes next. `seconds`: for how long each is so."""
        watches = self.sight.watches
        return {
            member: Silence(one, (watch.received if (watch := watches.get(member)) is not None else None) or {})
            for member, one in seconds.items()
        }

    def _ask_witnesses(self, view: ClusterView) -> None:
        """Reads the metrics of all voters that answer now and then: whether a loss could be proved is known before it, and
        behind it by an instance that was started then."""
        if self._witnessed_at is not None and view.taken_at - self._witnessed_at < _WITNESS_SECONDS:
            return
        self._witnessed_at = view.taken_at
        access = self.cluster.access
        asked = {
            voter.id: access.submit(partial(_page_of, access, voter.id), where)
            for voter in view.voters
            if view.answer(voter.id) is not None and (where := endpoint_of(access, voter)) is not None
        }
        wait(asked.values(), timeout=_SCRAPE_SECONDS)
        pages = {voter: one.result() if one.done() and not one.exception() else None for voter, one in asked.items()}
        self.unwitnessed = frozenset(voter for voter, page in pages.items() if page is None or not page.is_etcds)

    def _received(self, view: ClusterView) -> Mapping[int, Received | None]:
        silent = silent_voters(view) if view.linearizable else []
        self.witnesses = {voter.id: self.witnesses.get(voter.id) or Witnesses() for voter in silent}
        access, clock = self.cluster.access, self.cluster.clock
        return {voter.id: received_from(access, clock, view, voter.id, self.witnesses[voter.id]) for voter in silent}

    def prove(self, view: ClusterView, learner: Member) -> Proof | None:
        """Returns the proof that the learner is aligned now, or None. Costs every member two writes."""
        access = self.cluster.access
        own = endpoint_of(access, learner)
        candidate = candidate_of(access, view, learner, access.channel(own)) if own is not None else None
        if candidate is None:
            return None
        with suppress(EtcdError):
            found = prove(candidate, self.cluster.clock)
            return found if isinstance(found, Proof) else None
        return None

    def memory(self, orders: Orders, joins: Sequence[PendingJoin]) -> Memory:
        """Returns what is known besides a look. Moments in records are unix seconds, those here on the clock of the looks."""
        at = moment(self.cluster.clock)
        joining = frozenset(join.member.id for join in joins if join.member and join.place is not None)
        # A join that has ended between the look and this reading left a learner in the look, and nothing else.
        before, self._joining = self._joining, joining

        def here(wall: float) -> float:
            return at.now + (wall - at.wall)

        def until(order: Order) -> float:
            # While etcd has it it holds, also where the clock of who ordered it is behind ours.
            return max(here(order.until), at.now + 1.0) if order.leased else here(order.until)

        return Memory(
            {member: _with_pages(proof, self.witnesses.get(member)) for member, proof in self.sight.absences().items()},
            self.sight.silent_since,
            self.sight.aligned_since,
            self.sight.mute_since,
            owned=frozenset(join.member.id for join in joins if join.member and join.memory.member_id == join.member.id),
            standbys=frozenset(orders.standbys),
            joining=joining | before,
            waiting=self._waiting(joins, at.now),
            held={member: until(order) for member, order in orders.holds.items()},
            paused_until=until(orders.pause) if orders.pause is not None else None,
            replaced=tuple(map(here, orders.replaced())),
            written=tuple(replace(one, at=here(one.at)) for one in orders.written()),
            swap=_fresh(orders.swap, at.wall),
            owed=_fresh(orders.owed, at.wall),
            unwitnessed=self.unwitnessed,
            unlinked_yet=self.links.pending(),
            prepared=orders.prepared,
            counted={member: watch.seconds for member, watch in self.sight.watches.items()},
        )

    def _waiting(self, joins: Sequence[PendingJoin], now: float) -> tuple[str, ...]:
        """Returns the joins that wait for the seat of a standby. One that began a moment ago has not asked for it yet; where
        members have more seats it gets one of its own: a standby went for nothing."""
        self.waiting_since = {join.run: self.waiting_since.get(join.run, now) for join in joins if _waits(join)}
        long = {run for run, since in self.waiting_since.items() if now - since >= _SEAT_SECONDS}
        return tuple(join.name or join.peer_url for join in joins if join.run in long)


def _page_of(access: Access, member_id: int, channel: Channel) -> Metrics | None:
    return access.scrape(channel.endpoint, of=member_id, timeout=_SCRAPE_SECONDS)


def _waits(join: PendingJoin) -> bool:
    """Returns whether a join waits for the seat of a standby. One that shall be a standby itself waits until it is its turn."""
    return join.place is not None and join.member is None and join.ends_as != "standby"


def _fresh(begun: _Begun | None, wall: float) -> _Begun | None:
    """An old change of zones, or replacement, that never went on is void: its members may be what they are for other reasons by
    now."""
    return begun if begun is not None and abs(wall - begun.at) < SWAP_SECONDS else None


def view_age(view: ClusterView, cluster: Cluster) -> float:
    return cluster.clock.now() - view.taken_at


def _with_pages(absence: Absence, witnesses: Witnesses | None) -> Absence:
    return replace(absence, pages=witnesses.numbers() if witnesses is not None else ())


def at_work(view: ClusterView, joins: Iterable[PendingJoin], lock: HeldLock | None) -> str:
    """Returns who changes the member list now, or upgrades the members; empty when nobody does."""
    for join in joins:
        # One that waits for its seat changes nothing yet; its place may be held by the very standby that is to be promoted.
        if join.place is not None and join.member is not None:
            return f"the join of {join.name or join.peer_url} from {join.host} (pid {join.pid}) is at work"
    if lock is not None:
        return f"{lock.change or 'another change'} from {lock.host} (pid {lock.pid}) is at work"
    # Of learners too: where the last voter of the old version is down, only they show it.
    answers = [view.answer(member.id) for member in view.members]
    versions = sorted({Version.told(one.version).series for one in answers if one is not None})
    if len(versions) > 1:
        return f"members run {' and '.join(f'{major}.{minor}' for major, minor in versions)}: an upgrade is under way"
    return ""
