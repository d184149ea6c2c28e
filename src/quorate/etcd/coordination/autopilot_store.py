"""Reads and writes the autopilot's records on a member that answers now, and holds the key of the instance that acts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from quorate.config.policy_document import Changes, changes
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.sight import Silence
from quorate.core.ids import format_id
from quorate.core.membership import Member
from quorate.deadline import SystemClock
from quorate.errors import QuorateError, Refused
from quorate.etcd.client import kv, lease
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, LeaseNotFound
from quorate.etcd.coordination import autopilot_records as records
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.keys import AUTOPILOT, KUBEADM_CONFIG, SEATS

T = TypeVar("T")
TTL_SECONDS = 15
DAY_SECONDS = 24 * 3600
_TRIES = 5
_SECONDS = 3.0
"""For one call: the loop looks once a second, and a member that hangs must not blind it for longer than a proof is fresh."""


@dataclass(frozen=True, slots=True)
class AutopilotStore:
    """The records of the cluster `cluster_id`."""

    access: Access
    seeds: Sequence[Endpoint]
    clock: SystemClock
    cluster_id: int

    def read(self) -> Orders:
        """Returns all records, read through the quorum."""
        rows = self._ask(lambda channel, seconds: kv.get_prefix(channel, AUTOPILOT, timeout=seconds))
        return records.orders_of(rows, self.cluster_id)

    def read_with_others(self) -> tuple[Orders, bool]:
        """As `read`; returns also whether there is any record of a join or of a change of members, by the same call: most looks
        find none, and need not ask for them."""
        end = kv.prefix_end(SEATS)
        rows = self._ask(lambda channel, seconds: kv.get_range(channel, AUTOPILOT, end, timeout=seconds))
        own = [row for row in rows if row.key.startswith(AUTOPILOT)]
        return records.orders_of(own, self.cluster_id), len(own) < len(rows)

    def set_policy(self, policy: Policy, without: Callable[[Orders], Policy]) -> tuple[int, Changes]:
        """Writes the policy; returns its generation, and what it changes. `without`: makes the policy that was followed where
        none was set. Raises `Refused` where one is there that this version cannot read, or where others do not cease to write
        theirs: each policy has a number of its own, and says what it changed of the one before."""
        for _ in range(_TRIES):
            orders = self.read()
            if (done := self._set_over(orders, policy, without)) is not None:
                return done
        raise Refused("others write policies all the time", state="nothing was changed", advice="run the same command again")

    def _set_over(self, orders: Orders, policy: Policy, without: Callable[[Orders], Policy]) -> tuple[int, Changes] | None:
        """As `set_policy`; None where another policy was written since `orders` were read."""
        if orders.troubles:
            raise Refused(
                f"the autopilot's records cannot be read: {'; '.join(orders.troubles)}",
                state="nothing was changed",
                advice="use the version that wrote them, or mend or delete what is named, and nothing else",
            )
        generation, changed = orders.generation + 1, changes(orders.policy or without(orders), policy)
        value = records.policy_record(policy, generation, self.cluster_id, self.clock.wall())
        before = orders.policy_revision
        if not self._ask(lambda channel, seconds: kv.put_if_unchanged(channel, records.POLICY, value, before, timeout=seconds)):
            return None
        fields = records.changed_fields(changed)
        self.note("policy", generation=generation, digest=records.digest_of(policy), changed=fields)
        return generation, changed

    def begin_with(self, policy: Policy, orders: Orders) -> None:
        """Writes the policy unless there is one: what an autopilot does is then there to be read. One of another cluster id, as
        a restored snapshot has it, is none."""
        value = records.policy_record(policy, 1, self.cluster_id, self.clock.wall())
        before = orders.policy_revision
        self._ask(lambda channel, seconds: kv.put_if_unchanged(channel, records.POLICY, value, before, timeout=seconds))

    def pause(self, seconds: float, why: str) -> float:
        """Forbids every action for `seconds`; returns until when, in unix seconds."""
        until = self.clock.wall() + seconds
        self._put(records.PAUSE, self._order(until, seconds, why), self._lease_of(seconds))
        self.note("pause", seconds=seconds, why=why)
        return until

    def resume(self) -> bool:
        """Revokes a pause; returns whether there was one."""
        there = self._ask(lambda channel, timeout: kv.delete(channel, records.PAUSE, timeout=timeout))
        if there:
            self.note("resume")
        return there

    def hold(self, member: Member, seconds: float, why: str) -> float:
        """Exempts a member for `seconds`; returns until when, in unix seconds."""
        until = self.clock.wall() + seconds
        self._put(records.hold_key(member.id), self._order(until, seconds, why), self._lease_of(seconds))
        self.note("hold", member=format_id(member.id), name=member.name, seconds=seconds, why=why)
        return until

    def release(self, member: Member, why: str) -> bool:
        """Revokes a hold; returns whether there was one. Where there was none, nothing is written."""
        key = records.hold_key(member.id)
        there = self._ask(lambda channel, timeout: kv.delete(channel, key, timeout=timeout))
        if there:
            self.note("hold", member=format_id(member.id), name=member.name, seconds=0.0, why=why)
        return there

    def mark(self, member: Member) -> None:
        """Marks a learner as a standby."""
        self._put(records.standby_key(member.id), records.mark_of(member, self.cluster_id, self.clock.wall()))

    def unmark(self, member_id: int) -> None:
        key = records.standby_key(member_id)
        self._ask(lambda channel, timeout: kv.delete(channel, key, timeout=timeout))

    def begin_owing(self, member_id: int, instead: int, voters: int) -> None:
        """Records that this learner is to get a vote once the voter `instead` of `voters` is removed: whoever acts next goes
        on, also where the policy wants fewer voters than there are. Raises `EtcdError`."""
        ids = {"member": format_id(member_id), "instead": format_id(instead)}
        fields = {**ids, "voters": voters, "at": self.clock.wall()}
        self._put(records.OWED, records.record(clusterId=format_id(self.cluster_id), **fields))

    def end_owing(self) -> None:
        self._ask(lambda channel, timeout: kv.delete(channel, records.OWED, timeout=timeout))

    def begin_swap(self, promoted: int, leaves: int) -> None:
        """Records that `leaves` goes once `promoted` has its vote, before that vote is asked for: whoever acts next goes on."""
        fields = {"promoted": format_id(promoted), "leaves": format_id(leaves)}
        self._put(records.SWAP, records.record(clusterId=format_id(self.cluster_id), at=self.clock.wall(), **fields))

    def end_swap(self) -> None:
        self._ask(lambda channel, timeout: kv.delete(channel, records.SWAP, timeout=timeout))

    def spend(self) -> int:
        """Counts a change of a voter against the budget, before it is begun; returns its lease. Raises `EtcdError`: what is not
        counted is not done."""
        granted = self._ask(lambda channel, seconds: lease.grant(channel, DAY_SECONDS, timeout=seconds))
        value = records.record(clusterId=format_id(self.cluster_id), at=self.clock.wall())
        self._put(records.SPENT + f"{granted:x}".encode(), value, granted)
        return granted

    def spend_again(self, key: bytes, held: int, left: float) -> None:
        """Counts a change for `left` seconds more instead of the time that its lease has left. It keeps its key: with a new
        one, it counted twice for as long as the old lease could not be revoked."""
        if left > 0:
            granted = self._lease_of(left)
            value = records.record(clusterId=format_id(self.cluster_id), at=self.clock.wall() + left - DAY_SECONDS)
            self._put(key, value, granted)
        self._ask(lambda channel, timeout: lease.revoke(channel, held, timeout=timeout))

    def end_order(self, held: int) -> None:
        """Ends the order whose lease this is, and no other: by its key it deleted one that was given since it was read."""
        self._ask(lambda channel, timeout: lease.revoke(channel, held, timeout=timeout))

    def say_silent(self, silent: Mapping[int, Silence]) -> None:
        """Records for how long each voter has been silent, for the instance that comes next; also that none is. By what others
        have received from it by then, the next one sees whether it has lived since."""
        seconds = {format_id(member): round(one.seconds, 1) for member, one in silent.items()}
        received = {
            format_id(member): {format_id(voter): count for voter, count in one.received.items()}
            for member, one in silent.items()
        }
        granted, of = self._lease_of(records.SILENT_TTL), format_id(self.cluster_id)
        self._put(records.SILENT, records.record(clusterId=of, seconds=seconds, received=received), granted)

    def say_prepared(self, member_id: int) -> None:
        """Records that this instance starts what is held back on the node of this member, once it has a vote."""
        granted = self._lease_of(records.PREPARED_TTL)
        self._put(records.prepared_key(member_id), records.record(clusterId=format_id(self.cluster_id)), granted)

    def kubernetes_setup(self) -> bytes | None:
        """Returns the configuration of the Kubernetes cluster that kubeadm or quorate stored in this etcd, as it is there; None
        where there is none."""
        held = self._ask(lambda channel, seconds: kv.get(channel, KUBEADM_CONFIG, timeout=seconds))
        return held.value if held is not None else None

    def begin_providing(self, seconds: float) -> int:
        """Takes the one place for a program that makes a standby, for `seconds`; returns its lease, for `end_providing`; 0
        where another instance's program is at work."""
        granted = self._lease_of(seconds)
        value = records.record(clusterId=format_id(self.cluster_id), at=self.clock.wall())
        if self._ask(lambda channel, timeout: kv.create(channel, records.PROVIDING, value, timeout=timeout, lease=granted)):
            return granted
        self.end_providing(granted)
        return 0

    def end_providing(self, held: int) -> None:
        """Frees that place; best effort, because it ends by itself."""
        with suppress(QuorateError), self.clock.cancel.shielded():
            self._ask(lambda channel, timeout: lease.revoke(channel, held, timeout=timeout))

    def spent_ago(self, orders: Orders) -> dict[int, float]:
        """Returns by lease how many seconds ago each change that counts against the budget was begun, as etcd counts: from the
        last change of leader on."""
        left = {one: self._ask(partial(_seconds_left, one)) for one in orders.spent}
        return {one: float(DAY_SECONDS - seconds) for one, seconds in left.items() if seconds is not None}

    def note(self, did: str, **fields: object) -> None:
        """Adds an entry to the log; removes the oldest beyond what is kept. Raises `EtcdError`: a replacement whose beginning
        is not recorded would not count against the budget."""
        at = self.clock.wall()
        value = records.record(clusterId=format_id(self.cluster_id), at=at, did=did, **fields)
        self._put(records.log_key(at), value)
        with suppress(EtcdError):
            self._ask(_prune)

    def _lease_of(self, seconds: float) -> int:
        """Returns a lease of that time: an order ends by etcd's clock, whatever those of the hosts say."""
        whole = max(1, math.ceil(seconds))
        return self._ask(lambda channel, timeout: lease.grant(channel, whole, timeout=timeout))

    def _order(self, until: float, seconds: float, why: str) -> bytes:
        return records.record(clusterId=format_id(self.cluster_id), until=until, seconds=seconds, why=why)

    def _put(self, key: bytes, value: bytes, lease_id: int = 0) -> None:
        self._ask(lambda channel, seconds: kv.put(channel, key, value, timeout=seconds, lease=lease_id))

    def _ask(self, what: Callable[[Channel, float], T]) -> T:
        return ask_anyone(self.access, self.seeds, what, self.clock, seconds=_SECONDS)


def _seconds_left(held: int, channel: Channel, seconds: float) -> int | None:
    return lease.time_to_live(channel, held, timeout=seconds)


def _prune(channel: Channel, seconds: float) -> None:
    entries = sorted(row.key for row in kv.get_prefix(channel, records.LOG, timeout=seconds))
    for key in entries[: -records.KEPT]:
        kv.delete(channel, key, timeout=seconds)


@dataclass(slots=True)
class ActingKey:
    """The key of the instance that acts: leased, and taken by one instance at a time. It is courtesy between instances, as the
    lock for removals is: two that act at once are still safe, because each step is judged on its own look."""

    store: AutopilotStore
    lease: int = 0
    since: float = 0.0
    renewed_at: float = 0.0

    def is_ours(self, said: Mapping[str, object]) -> bool:
        """Takes the key where it is free, and renews it; returns whether this instance acts. `said`: what it decided last, for
        everybody to read."""
        try:
            return self._kept() if self.lease else self._taken(said)
        except LeaseNotFound:
            self.lease = 0
            return False

    def is_still_ours(self) -> bool:
        """Returns whether the key is ours now, read through the quorum: the last question before a removal."""
        held = self.store._ask(lambda channel, seconds: kv.get(channel, records.INSTANCE, timeout=seconds))
        return held is not None and self.lease != 0 and held.lease == self.lease

    def keep(self) -> None:
        """Renews the key while an action takes longer than its lease; best effort, because every step is safe without it."""
        if self.lease:
            with suppress(QuorateError):
                self._kept()

    def say(self, said: Mapping[str, object]) -> None:
        """Writes what was decided, for `status` and `explain`."""
        if self.lease:
            self.store._put(records.INSTANCE, self._value(said), self.lease)

    def leave(self) -> None:
        """Frees the key; best effort, because it expires by itself."""
        held, self.lease = self.lease, 0
        if held:
            with suppress(QuorateError), self.store.clock.cancel.shielded():
                self.store._ask(lambda channel, seconds: lease.revoke(channel, held, timeout=seconds))

    def _kept(self) -> bool:
        now, held = self.store.clock.now(), self.lease
        if now - self.renewed_at >= TTL_SECONDS / 3:
            self.store._ask(lambda channel, seconds: lease.keep_alive(channel, held, timeout=seconds))
            # Somebody may have deleted the key, and another instance taken it.
            if not self.is_still_ours():
                self.leave()
                return False
            self.renewed_at = now
        return True

    def _taken(self, said: Mapping[str, object]) -> bool:
        now = self.store.clock.now()
        granted = self.store._ask(lambda channel, seconds: lease.grant(channel, TTL_SECONDS, timeout=seconds))
        self.since = self.store.clock.wall()
        value = self._value(said)
        if self.store._ask(
            lambda channel, seconds: kv.create(channel, records.INSTANCE, value, timeout=seconds, lease=granted)
        ):
            self.lease, self.renewed_at = granted, now
            return True
        with suppress(EtcdError):
            self.store._ask(lambda channel, seconds: lease.revoke(channel, granted, timeout=seconds))
        held = self.store._ask(lambda channel, seconds: kv.get(channel, records.INSTANCE, timeout=seconds))
        if held is not None and not held.lease:
            # It is nobody's, and would keep the place for ever.
            self.store._ask(lambda channel, seconds: kv.delete(channel, records.INSTANCE, timeout=seconds))
        return False

    def _value(self, said: Mapping[str, object]) -> bytes:
        return records.record(clusterId=format_id(self.store.cluster_id), since=self.since, said=dict(said))
