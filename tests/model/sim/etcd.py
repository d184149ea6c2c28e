"""A simulated etcd cluster: a committed log, what each member has applied of it, links, leaders, leases.

Only what is committed is in the log; what a leader could not commit waits in `Pending` (see `transport`). Raft itself is
abstracted to its outcome: an up-to-date voter with two-way links to a quorum leads after an election timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from model.sim import state as of
from model.sim.clock import SimClock
from model.sim.machine import Machine
from model.sim.state import Entry, Row, State
from quorate.core.versions import Version

FIRST_INDEX = 1000
ELECTION_SECONDS = 1.2
NO_LEADER_SECONDS = 1.5
"""How long a voter that hears nothing goes on to name its old leader, and a leader without quorum itself."""

SNAPSHOT_SECONDS = 0.06
RELINK_SECONDS = 0.02
RELECTION_SECONDS = 1.1
AWAKE_SECONDS = 0.05
"""How long a process that stood still goes on to believe what it believed."""

EXIT_SECONDS = 0.3
PUBLISH_WAIT_SECONDS = 7.0
BEAT_SECONDS = 5 / 3
FED_SECONDS = 10.0
"""How long a leader goes on sending to a learner whose acknowledgements are lost (measured: up to 20 s)."""


class SimCluster:
    """`choose` decides what is left open (who is elected, whether a late request is carried out)."""

    def __init__(self, clock: SimClock, cluster_id: int, version: str, choose: Callable[[str, int], int]) -> None:
        self.clock, self.id, self.version, self.choose = clock, cluster_id, Version.parse(version), choose
        self.is_34, self.is_36, self.is_37 = (
            self.version < Version(3, 5, 0),
            self.version >= Version(3, 6, 0),
            self.version >= Version(3, 7, 0),
        )
        self.machines: dict[str, Machine] = {}
        self.entries: list[Entry] = []
        self.states: list[State] = []
        self.term = 2
        self.leader: Machine | None = None
        self.cuts: dict[tuple[str, str], float] = {}
        """Sender and receiver, and since when."""

        self.match: dict[int, int] = {}
        self.expires: dict[int, float] = {}
        self.max_learners = 1
        self.lost_at: float | None = None
        self.changed_at = clock.world
        """When a process, a link or the member list last changed."""

        self._counted_at = clock.world
        self._valid: bool | None = None

    # -- log -------------------------------------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        return FIRST_INDEX + len(self.states) - 1

    @property
    def state(self) -> State:
        return self.states[-1]

    def state_at(self, index: int) -> State:
        return self.states[max(0, min(index, self.last) - FIRST_INDEX)]

    def term_at(self, index: int) -> int:
        return self.entries[max(0, min(index, self.last) - FIRST_INDEX)].term

    def commit(self, state: State, what: str) -> int:
        """Append an entry that leaves `state`; returns its index."""
        self.count_beats()
        if self.states and state.rows is not self.state.rows:
            self.changed_at = self.clock.world
        self.entries.append(Entry(self.term, self.clock.world, what))
        self.states.append(state)
        self._count_entry()
        self.sync()
        return self.last

    # -- membership of machines ------------------------------------------------------------------------------------------

    def boot(self, machines: Iterable[Machine]) -> None:
        """Begin with these as voters that have run for long; the first leads."""
        rows: dict[int, Row] = {}
        for number, one in enumerate(machines):
            self.machines[one.name] = one
            one.member_id = of.member_id(one.peer_urls, number)
            one.condition, one.has_data = "running", True
            rows[one.member_id] = Row(one.member_id, one.peer_urls, False, one.name, one.advertised)
        self.leader = next(iter(self.machines.values()))
        self.entries.append(Entry(self.term, self.clock.world - 60, "boot"))
        self.states.append(State(rows, {}, 7, {}))
        for one in self.machines.values():
            one.applied = one.logged = self.last
            one.ready_at = one.serves_at = self.clock.world - 60
        self.sync()

    def machine_of(self, member_id: int) -> Machine | None:
        return next((one for one in self.machines.values() if one.has_data and one.member_id == member_id), None)

    def at_peer_url(self, url: str) -> Machine | None:
        return next((one for one in self.machines.values() if url in one.peer_urls), None)

    # -- links -----------------------------------------------------------------------------------------------------------

    def wired(self, sender: Machine, receiver: Machine) -> bool:
        """Whether what `sender` says arrives at `receiver` now."""
        now = self.clock.world
        return sender.runs(now) and receiver.runs(now) and (sender.name, receiver.name) not in self.cuts

    def linked(self, one: Machine, other: Machine) -> bool:
        """Two-way, and each is where the member list says it is."""
        if one is other:
            return one.runs(self.clock.world)
        both_ways = self.wired(one, other) and self.wired(other, one)
        return both_ways and self._is_where_listed(one) and self._is_where_listed(other)

    def _is_where_listed(self, one: Machine) -> bool:
        row = self.state.rows.get(one.member_id)
        return row is not None and bool(set(row.peer_urls) & set(one.peer_urls))

    def voters_linked_to(self, one: Machine) -> int:
        """How many voters `one` has two-way links to, itself included when it is one."""
        machines = [self.machine_of(row.id) for row in self.state.voters]
        return sum(other is not None and self.linked(one, other) for other in machines)

    def is_voter(self, one: Machine) -> bool:
        row = self.state.rows.get(one.member_id)
        return row is not None and not row.is_learner

    @property
    def can_commit(self) -> bool:
        if self._valid is None:
            self._valid = self._leader_has_quorum()
        return self._valid

    def _leader_has_quorum(self) -> bool:
        leader = self.leader
        if leader is None or not leader.runs(self.clock.world) or not self.is_voter(leader):
            return False
        return self.voters_linked_to(leader) >= self.state.quorum

    # -- time ------------------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around every change of processes and links: what was so until now is written down first."""
        self.count_beats()
        self.sync()
        yield
        self.changed_at = self.clock.world
        self.sync()

    def sync(self) -> None:
        """Bring every member up to the present, as far as links and processes let it. Called whenever anything changed, and
        by the clock when something was due; in between `applied` tells what time alone has brought."""
        self._valid = None
        now, valid = self.clock.world, self.can_commit
        for one in self.machines.values():
            self._follow(one, now, valid)
        if valid:
            self.lost_at = None
        elif self.lost_at is None:
            self.lost_at = now
            self.clock.after(ELECTION_SECONDS, self.elect)

    def _follow(self, one: Machine, now: float, valid: bool) -> None:
        leader = self.leader
        if not one.runs(now) or not one.has_data:
            return
        if one.member_id in self.state.removed:
            self._hear_of_removal(one)
            return
        if leader is None or now < one.awake_at or not (self.linked(one, leader) or self._is_fed(one, leader)):
            one.ready_at = None
            return
        if one is not leader or valid:
            one.believes, one.heard_at = leader.member_id, now
        if one.ready_at is None:
            one.ready_at = now + (0.0 if one is leader else RELINK_SECONDS if one.applied else SNAPSHOT_SECONDS)
            self.clock.at(one.ready_at, self.sync)
        if now >= one.ready_at:
            one.applied, one.logged = self.applied(one, now), self.last
            if self.wired(one, leader):
                self.match[one.member_id] = self.last
                self._publish(one, now, valid)

    def _is_fed(self, one: Machine, leader: Machine) -> bool:
        """Whether a learner gets what is written although its acknowledgements are lost: a leader sends on for a while."""
        began = self.cuts.get((one.name, leader.name))
        if began is None or one.ready_at is None or self.is_voter(one) or not self.wired(leader, one):
            return False
        return self.clock.world - began < FED_SECONDS

    def applied(self, one: Machine, at: float) -> int:
        """What `one` has applied at that time, should nothing change until then."""
        if one is self.leader and one.runs(at):
            return self.last
        if one.ready_at is None or at < one.ready_at:
            return one.applied
        index = self.last
        while index > one.applied and self.entries[index - FIRST_INDEX].at + one.lag > at:
            index -= 1
        return index

    def applies_at(self, one: Machine, index: int) -> float | None:
        """When `one` will have applied that entry; None while it does not follow."""
        if one.ready_at is None:
            return None
        return max(one.ready_at, self.entries[min(index, self.last) - FIRST_INDEX].at + one.lag)

    def _publish(self, one: Machine, now: float, valid: bool) -> None:
        """Its name and client URLs become known to the cluster; then it serves clients."""
        row = self.state.rows[one.member_id]
        if one.serves_at is not None:
            return
        if row.name == one.name and row.client_urls == one.advertised:
            one.serves_at = now
        elif valid:
            one.serves_at = now + (PUBLISH_WAIT_SECONDS if one.loses_publish else 0.0)
            self.commit(of.with_row(self.state, row._replace(name=one.name, client_urls=one.advertised)), f"publish {one.name}")

    def _hear_of_removal(self, one: Machine) -> None:
        """A removed member ends by itself once somebody can tell it."""
        if self.leader is not None and self.wired(self.leader, one) and self.wired(one, self.leader):
            self.clock.after(EXIT_SECONDS, lambda: self._exit(one))

    def _exit(self, one: Machine) -> None:
        if one.condition == "running" and one.member_id in self.state.removed:
            one.condition, one.note = "dead", "the member has been permanently removed from the cluster"
            one.serves_at = one.ready_at = None

    def elect(self) -> None:
        """Somebody leads, if somebody can: an up-to-date voter with a quorum of two-way links."""
        self.sync()
        if self.lost_at is None:
            return
        able = [one for one in self.machines.values() if self._could_lead(one)]
        if not able:
            self.clock.after(ELECTION_SECONDS, self.elect)
            return
        self.install(able[self.choose("leader", len(able))])

    def _could_lead(self, one: Machine) -> bool:
        now = self.clock.world
        if not one.runs(now) or now < one.awake_at or not one.has_data or not self.is_voter(one) or one.logged < self.last:
            return False
        return self.voters_linked_to(one) >= self.state.quorum

    def install(self, one: Machine) -> None:
        """`one` leads from now on, in a new term."""
        self.count_beats()
        self.term, self.leader, self.lost_at = self.term + 1, one, None
        self.match = {one.member_id: self.last}
        one.ready_at = self.clock.world
        self.commit(self.state, f"{one.name} leads")
        for lease, ttl in self.state.leases.items():
            self.keep_lease(lease, ttl)

    # -- leases ----------------------------------------------------------------------------------------------------------

    def keep_lease(self, lease: int, ttl: int) -> None:
        self.expires[lease] = self.clock.world + ttl
        self.clock.after(ttl, self._expire)

    def _expire(self) -> None:
        due = [lease for lease in self.state.leases if self.expires.get(lease, 0.0) <= self.clock.world + 1e-9]
        if due and not self.can_commit:
            self.clock.after(ELECTION_SECONDS, self._expire)
            return
        for lease in due:
            self.commit(of.end_lease(self.state, lease), f"lease {lease} expires")

    # -- what the receivers' byte counters say ---------------------------------------------------------------------------

    def count_beats(self) -> None:
        """As `etcd_network_peer_received_bytes_total`: raft messages by sender, and link heartbeats under "0"."""
        now = self.clock.world
        before, self._counted_at = self._counted_at, now
        if now <= before or not self.states:
            return
        present = [one for row in self.state.rows.values() if (one := self.machine_of(row.id))]
        for receiver in present:
            for sender in present:
                if sender is not receiver and self.wired(sender, receiver):
                    self._count_pair(sender, receiver, before, now)

    def _count_entry(self) -> None:
        """The leader sends an entry to everybody at once, and whoever gets it answers at once."""
        leader = self.leader
        if leader is None:
            return
        for row in self.state.rows.values():
            one = self.machine_of(row.id)
            if one is None or one is leader or not self.wired(leader, one):
                continue
            _count(one, leader)
            if self.wired(one, leader):
                _count(leader, one)

    def _count_pair(self, sender: Machine, receiver: Machine, before: float, now: float) -> None:
        unit = 2 if self.is_37 else 20 if self.is_36 else 30
        phase = (sender.member_id ^ receiver.member_id) % 97 / 97 * BEAT_SECONDS
        beats = int((now + phase) / BEAT_SECONDS) - int((before + phase) / BEAT_SECONDS)
        receiver.received["0"] = receiver.received.get("0", 0.0) + 2 * unit * beats
        if self.leader in (sender, receiver):
            key = f"{sender.member_id:x}"
            pings = int(now * 10) - int(before * 10)
            receiver.received[key] = receiver.received.get(key, 0.0) + 40 * pings
        elif self._campaigns(sender):
            key = f"{sender.member_id:x}"
            rounds = int(now / ELECTION_SECONDS) - int(before / ELECTION_SECONDS)
            receiver.received[key] = receiver.received.get(key, 0.0) + 40 * rounds

    def _campaigns(self, one: Machine) -> bool:
        """A voter that does not hear the leader asks everybody for a vote, again and again."""
        return self.is_voter(one) and self.leader is not None and not self.wired(self.leader, one)

    # -- faults ----------------------------------------------------------------------------------------------------------

    def kill(self, one: Machine) -> None:
        if one.condition in ("running", "paused"):
            with self.changing():
                one.condition, one.resumes_at, one.ready_at, one.serves_at = "dead", None, None, None
                one.received.clear()
                one.pages_served = 0

    def pause(self, one: Machine, seconds: float) -> None:
        if one.condition != "running":
            return
        with self.changing():
            one.condition, one.resumes_at, one.ready_at = "paused", self.clock.world + seconds, None
            one.paused_at = self.clock.world
        self.clock.at(one.resumes_at, lambda: self.resume(one))

    def resume(self, one: Machine) -> None:
        if one.condition == "paused" and one.resumes_at is not None and one.resumes_at <= self.clock.world:
            one.awake_at = self.clock.world + AWAKE_SECONDS
            with self.changing():
                one.condition, one.resumes_at = "running", None
            self.clock.at(one.awake_at, self.sync)

    def start(self, one: Machine) -> None:
        """Run its process on the data it has; a first start finds its id by its peer URL."""
        if one.condition in ("running", "paused"):
            return
        with self.changing():
            self.machines.setdefault(one.name, one)
            one.starts, one.started_at = one.starts + 1, self.clock.world
            one.condition, one.awake_at, one.serves_at, one.note = "running", self.clock.world, None, ""
            if not one.has_data:
                mine = [row for row in self.state.rows.values() if set(row.peer_urls) & set(one.peer_urls)]
                if not mine or one.fails_to_start:
                    one.condition, one.note = "dead", one.fails_to_start or "it is not in the member list"
                    return
                one.member_id, one.has_data = mine[0].id, True
            one.believes, one.heard_at = 0, self.clock.world
            one.loses_publish = one.loses_publish and one.starts == 1

    def cut(self, one: Machine, others: Iterable[Machine], *, inbound: bool = True, outbound: bool = True) -> None:
        with self.changing():
            for other in others:
                pairs = [(other.name, one.name)] * inbound + [(one.name, other.name)] * outbound
                for pair in pairs:
                    self.cuts.setdefault(pair, self.clock.world)
        self.clock.after(FED_SECONDS, self.sync)

    def heal(self) -> None:
        """All links work again. On 3.4, without pre-vote, a voter that comes back with a higher term deposes the leader."""
        now = self.clock.world
        campaigned = [
            one
            for one in self.machines.values()
            if one.runs(now) and one.ready_at is None and self.is_voter(one) and now - one.heard_at > NO_LEADER_SECONDS
        ]
        with self.changing():
            self.cuts.clear()
        if self.is_34 and campaigned:
            self.clock.after(RELECTION_SECONDS, self._depose)

    def _depose(self) -> None:
        with self.changing():
            self.leader = None


def _count(receiver: Machine, sender: Machine) -> None:
    key = f"{sender.member_id:x}"
    receiver.received[key] = receiver.received.get(key, 0.0) + 60
