"""What operators have ordered of the autopilot, and what its instances have recorded, below /quorate/autopilot/.

"Cannot be read" is an answer of its own: with an order that cannot be understood, or that a newer version wrote, nothing is
done. Moments are unix seconds: operators and instances run on several machines.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from quorate.config.policy_document import Changes, document_of, recorded_policy
from quorate.core.autopilot.case import Owed, Swap, Written
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.sight import Silence
from quorate.core.ids import format_id
from quorate.core.membership import Member
from quorate.errors import ConfigError
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination import this_run
from quorate.etcd.coordination.this_run import Origin, origin_of
from quorate.etcd.keys import AUTOPILOT
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.text import to_paste
from quorate.foreign.values import integer_of, is_newer, mapping_of, text_of

FORMAT = 1
"""The format of every record here."""

POLICY, PAUSE, INSTANCE = AUTOPILOT + b"policy", AUTOPILOT + b"pause", AUTOPILOT + b"instance"
SWAP = AUTOPILOT + b"swap"
SPENT = AUTOPILOT + b"spent/"
"""One key for each change of a voter that counts against the budget, with a lease of a day: the log is pruned, and the clocks
of two hosts differ."""
OWED = AUTOPILOT + b"owed"
"""The learner whose vote is to follow a removal at once."""

SILENT = AUTOPILOT + b"silent"
"""For how long each silent voter has been so, leased for `SILENT_TTL`: who takes over knows voters that fell silent one after
the other from those that did together."""
SILENT_TTL = 45
PROVIDING = AUTOPILOT + b"provide"
"""There while the program that makes a standby is at work, leased for as long as it may be: it outlives a daemon that is
killed, and the next one started a second machine."""
PREPARED = AUTOPILOT + b"prepared/"
"""One leased key for each member on whose control-plane node an instance runs that starts the components held back there."""
PREPARED_TTL = 30
HOLDS, STANDBYS, LOG = AUTOPILOT + b"hold/", AUTOPILOT + b"standby/", AUTOPILOT + b"log/"
CHANGES_OF_VOTERS = ("replace", "spread")
"""The entries of the log that count against the budget."""
_LATEST = 1e12
"""Unix seconds that no clock shows: thirty thousand years."""
KEPT = 200
"""Most entries of the log."""


@dataclass(frozen=True, slots=True)
class Order:
    """Until when something is forbidden, and what the operator said about it. `leased`: etcd ends it, by its own clock, with
    the lease `lease`; `until` is what the operator's host meant, whose clock may differ. `seconds`: for how long, 0 where an
    older version wrote it."""

    until: float
    why: str
    origin: Origin
    leased: bool = False
    lease: int = 0
    seconds: float = 0.0

    def forbids(self, wall: float) -> bool:
        """Returns whether it holds at `wall`, in unix seconds of this host."""
        return self.leased or self.until > wall


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done, by whom: one entry of the log. `fields`: the rule, the members, the result."""

    key: bytes
    at: float
    did: str
    fields: Mapping[str, object]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Instance:
    """The instance that acts. `lease`: of its key, without which it acts no more; `said`: what it decided last."""

    origin: Origin
    lease: int
    since: float
    said: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Orders:
    """All records. `policy`: None where none was set. `policy_revision`: of the last change of its key, 0 where there is none;
    a policy of another cluster id is void, and its key is there. `spent`: the changes that count against the budget, by
    their leases, each with its key.
    `silent`: what the instance that acts, or has acted before, has seen of each voter that was silent.
    `is_providing`: whether some instance's program makes a standby. `prepared`: members on whose node an instance starts what
    is held back there. `troubles`: the records that cannot be used, each with the reason."""

    policy: Policy | None = None
    generation: int = 0
    policy_set: Order | None = None
    policy_revision: int = 0
    pause: Order | None = None
    holds: Mapping[int, Order] = field(default_factory=dict[int, Order])
    standbys: Mapping[int, str] = field(default_factory=dict[int, str])
    log: tuple[Entry, ...] = ()
    instance: Instance | None = None
    swap: Swap | None = None
    owed: Owed | None = None
    spent: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    silent: Mapping[int, Silence] = field(default_factory=dict[int, Silence])
    is_providing: bool = False
    prepared: frozenset[int] = frozenset()
    troubles: tuple[str, ...] = ()

    def replaced(self) -> tuple[float, ...]:
        """Returns when replacements began, by the entries of versions that had no key for each."""
        return tuple(one.at for one in self.log if one.did in CHANGES_OF_VOTERS and "spent" not in one.fields)

    def written(self) -> tuple[Written, ...]:
        """Returns the policies that were written, the latest last."""
        return tuple(
            Written(one.at, text_of(one.fields.get("digest")), f"{one.origin.host} (pid {one.origin.pid})")
            for one in self.log
            if one.did == "policy"
        )


def hold_key(member_id: int) -> bytes:
    return HOLDS + format_id(member_id).encode()


def standby_key(member_id: int) -> bytes:
    return STANDBYS + format_id(member_id).encode()


def prepared_key(member_id: int) -> bytes:
    return PREPARED + format_id(member_id).encode()


def log_key(at: float) -> bytes:
    """Returns the key of an entry. Keys are in the order of time, and no two entries have the same."""
    return LOG + f"{at * 1000:015.0f}-{secrets.token_hex(4)}".encode()


def record(**fields: object) -> bytes:
    """Returns the value of a record of this process."""
    return json.dumps({"format": FORMAT, **fields, **this_run.fields()}).encode()


def policy_record(policy: Policy, generation: int, cluster_id: int, at: float) -> bytes:
    return record(policy=document_of(policy), generation=generation, clusterId=format_id(cluster_id), at=at)


def orders_of(rows: Sequence[KeyValue], cluster_id: int) -> Orders:
    """Returns what the keys below /quorate/autopilot/ say about this cluster. Records of another cluster id are void: a
    restored snapshot revives those of its past."""
    return _orders(tuple(rows), cluster_id)


@lru_cache(maxsize=2)
def _orders(rows: tuple[KeyValue, ...], cluster_id: int) -> Orders:
    """As a rule the rows are those of the look a second ago: to read them anew was a fifth of what a look costs."""
    reading = _Reading(cluster_id)
    for row in rows:
        reading.add(row)
    return reading.orders()


@dataclass(slots=True)
class _Reading:
    cluster_id: int
    policy: Policy | None = None
    generation: int = 0
    policy_set: Order | None = None
    policy_revision: int = 0
    pause: Order | None = None
    holds: dict[int, Order] = field(default_factory=dict[int, Order])
    standbys: dict[int, str] = field(default_factory=dict[int, str])
    log: list[Entry] = field(default_factory=list[Entry])
    instance: Instance | None = None
    swap: Swap | None = None
    owed: Owed | None = None
    spent: dict[int, bytes] = field(default_factory=dict[int, bytes])
    silent: Mapping[int, Silence] = field(default_factory=dict[int, Silence])
    is_providing: bool = False
    prepared: list[int] = field(default_factory=list[int])
    troubles: list[str] = field(default_factory=list[str])

    def add(self, row: KeyValue) -> None:
        name = row.key.decode(errors="replace")
        if row.key == POLICY:
            self.policy_revision = row.mod_revision
        try:
            told = _told(row.value, name)
        except BadDocument as error:
            # It alone: to delete them all costs the history, the budget and the marks of standbys.
            self.troubles.append(f"{error.what} ({_alone(name)})")
            return
        if is_newer(told, FORMAT):
            self.troubles.append(f"a newer version of quorate wrote {name}: use that one")
        elif text_of(told.get("clusterId")) == format_id(self.cluster_id):
            self._sort(row, name, told)
        elif "clusterId" not in told and (row.key in (POLICY, PAUSE) or row.key.startswith(HOLDS)):
            # Written by hand. It was ignored without a word.
            self.troubles.append(f"{name} names no cluster: it is not of quorate ({_alone(name)})")

    def _sort(self, row: KeyValue, name: str, told: Mapping[str, Any]) -> None:
        if row.key == POLICY:
            self._read_policy(name, told)
        elif row.key == PAUSE:
            self.pause = _order(told, row.lease)
        elif row.key in (INSTANCE, SILENT, PROVIDING) or row.key.startswith(PREPARED):
            self._read_leased(row, told)
        elif row.key.startswith(SPENT):
            if row.lease:
                self.spent[row.lease] = row.key
        elif row.key == OWED:
            voters = integer_of(told.get("voters"))
            self.owed = Owed(_member(told, "member"), _member(told, "instead"), _at(told, "at"), voters)
        elif row.key == SWAP:
            self.swap = Swap(_member(told, "promoted"), _member(told, "leaves"), _at(told, "at"))
        elif row.key.startswith(LOG):
            self.log.append(_entry(row.key, row.value))
        else:
            self._read_mark(row, name, told)

    def _read_leased(self, row: KeyValue, told: Mapping[str, Any]) -> None:
        """Without its lease such a record never ends: it is nobody's, and void."""
        if not row.lease:
            return
        if row.key == INSTANCE:
            self.instance = Instance(origin_of(told), row.lease, _at(told, "since"), mapping_of(told.get("said")))
        elif row.key == SILENT:
            seconds, received = mapping_of(told.get("seconds")), mapping_of(told.get("received"))
            self.silent = {_id_of(one): _silence(seconds, mapping_of(received.get(one)), one) for one in seconds}
        elif row.key.startswith(PREPARED):
            self.prepared.append(_id_of(row.key[len(PREPARED) :].decode(errors="replace")))
        else:
            self.is_providing = True

    def _read_policy(self, name: str, told: Mapping[str, Any]) -> None:
        try:
            self.policy = recorded_policy(told.get("policy"), name)
        except ConfigError as error:
            self.troubles.append(f"{name} holds no policy: {error} ({_alone(name)})")
            return
        self.generation = integer_of(told.get("generation"))
        self.policy_set = Order(_at(told, "at"), "", origin_of(told))

    def _read_mark(self, row: KeyValue, name: str, told: Mapping[str, Any]) -> None:
        for prefix in (HOLDS, STANDBYS):
            if not row.key.startswith(prefix):
                continue
            try:
                member_id = int(row.key[len(prefix) :], 16)
            except ValueError:
                self.troubles.append(f"{name} names no member")
                return
            if prefix == HOLDS:
                self.holds[member_id] = _order(told, row.lease)
            else:
                self.standbys[member_id] = text_of(told.get("name"))

    def orders(self) -> Orders:
        return Orders(
            self.policy,
            self.generation,
            self.policy_set,
            self.policy_revision,
            self.pause,
            self.holds,
            self.standbys,
            tuple(sorted(self.log, key=lambda entry: entry.key)),
            self.instance,
            self.swap,
            self.owed,
            self.spent,
            self.silent,
            self.is_providing,
            frozenset(self.prepared),
            tuple(self.troubles),
        )


def _alone(name: str) -> str:
    return f"'{to_paste('etcdctl', 'del', name)}' deletes this record alone"


@lru_cache(maxsize=4 * KEPT)
def _told(value: bytes, name: str) -> Mapping[str, Any]:
    """Returns the fields of a record. Most are those of the look a second ago: to read two hundred entries again each time cost
    as much as all else of a look. Raises `BadDocument`."""
    return read_object(value, name, RECORD)


@lru_cache(maxsize=4 * KEPT)
def _entry(key: bytes, value: bytes) -> Entry:
    told = _told(value, key.decode(errors="replace"))
    did = text_of(told.get("did"))
    return Entry(key, _at(told, "at"), did, _as_meant(did, told), origin_of(told))


def _order(told: Mapping[str, Any], lease: int) -> Order:
    """Returns an order; one without an end, or with one that is no number, holds until it is revoked."""
    until, seconds = _at(told, "until") or math.inf, max(0.0, _at(told, "seconds"))
    return Order(until, text_of(told.get("why")), origin_of(told), lease != 0, lease, seconds)


_OF_THE_FIRST = {"removed": "removing", "promoted": "promoting", "leads": "movesLeaderTo"}


def _as_meant(did: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the fields of an entry in the words of now. The first version wrote what was only begun, or failed, in the words
    for what is done; its failures have no `found`."""
    if did == "done" or "found" in told:
        return told
    return {_OF_THE_FIRST.get(name, name): value for name, value in told.items()}


def _at(told: Mapping[str, Any], name: str) -> float:
    value = told.get(name)
    # A number of four hundred digits is an int to a reader of JSON, and no float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LATEST < value < _LATEST:
        return 0.0
    return float(value)


def _member(told: Mapping[str, Any], name: str) -> int:
    return _id_of(told.get(name))


def _silence(seconds: Mapping[str, Any], received: Mapping[str, Any], member: str) -> Silence:
    return Silence(max(0.0, _at(seconds, member)), {_id_of(voter): _at(received, voter) for voter in received})


def _id_of(value: object) -> int:
    """Returns a member id; 0, which no member has, where there is none."""
    try:
        return int(text_of(value), 16)
    except ValueError:
        return 0


def digest_of(policy: Policy) -> str:
    """Returns what tells one policy from another in the log."""
    return hashlib.sha256(json.dumps(document_of(policy), sort_keys=True).encode()).hexdigest()[:16]


def changed_fields(changed: Changes) -> list[dict[str, str]]:
    """Returns what a policy changed, for its entry in the log and for programs."""
    return [{"path": path, "before": before, "after": after} for path, before, after in changed]


def mark_of(member: Member, cluster_id: int, at: float) -> bytes:
    """Returns the record that marks a learner as a standby."""
    return record(clusterId=format_id(cluster_id), name=member.name, peerURLs=list(member.peer_urls), at=at)
