"""What one member answers to one request at one moment: a real wire message, a refusal, or nothing yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from model.sim import rules
from model.sim import state as of
from model.sim.etcd import NO_LEADER_SECONDS, SimCluster
from model.sim.machine import Machine
from model.sim.rules import Refusal
from model.sim.state import Row, State
from quorate.etcd.client import wire_pb2 as wire

_QUOTA = 2 << 30
CHANGES_MEMBERS = ("MemberAdd", "MemberPromote", "MemberRemove", "MemberUpdate")
WRITES = (*CHANGES_MEMBERS, "Put", "DeleteRange", "Txn", "LeaseGrant", "LeaseRevoke", "LeaseKeepAlive")


@dataclass(frozen=True, slots=True)
class Blocked:
    """No answer yet. `until`: when there will be one if nothing changes; None when that is not known."""

    until: float | None = None


Reply: TypeAlias = Any
"""A message of `wire_pb2`, or `Blocked`."""


@dataclass(frozen=True, slots=True)
class Server:
    """The member that runs on `one`, at world time `at`."""

    cluster: SimCluster
    one: Machine
    at: float

    def handle(self, method: str, request: Any) -> Reply:
        """The answer; raises `Refusal`."""
        if not self.one.runs(self.at):
            return Blocked(self.one.resumes_at)
        if self.one.serves_at is None or self.at < self.one.serves_at:
            return Blocked(self.one.serves_at)
        if self.is_learner and method != "Status" and not (method == "Range" and request.serializable):
            status = "FAILED_PRECONDITION" if self.cluster.is_36 else "UNAVAILABLE"
            raise Refusal(status, "etcdserver: rpc not supported for learner")
        if method in WRITES:
            return self._blocked_without_leader() or HANDLERS[method](self, request)
        return HANDLERS[method](self, request)

    # -- what this member knows ------------------------------------------------------------------------------------------

    @property
    def applied(self) -> int:
        return self.cluster.applied(self.one, self.at)

    @property
    def state(self) -> State:
        return self.cluster.state_at(self.applied)

    @property
    def is_learner(self) -> bool:
        row = self.state.rows.get(self.one.member_id)
        return row is not None and row.is_learner

    @property
    def leader(self) -> int:
        """The leader it names: a learner its last one for ever, a voter for as long as it has not noticed."""
        fresh = self.at - self.one.heard_at <= NO_LEADER_SECONDS or self.at < self.one.awake_at
        if self.is_learner or fresh or self._follows:
            return self.one.believes
        return 0

    @property
    def _follows(self) -> bool:
        """Whether the leader's word reaches it, and the leader has a quorum."""
        leader = self.cluster.leader
        if leader is None or not self.cluster.can_commit:
            return False
        return self.one is leader or (self.one.ready_at is not None and self.cluster.linked(self.one, leader))

    @property
    def can_carry_out(self) -> bool:
        """Whether a write that waits here would go through now, by this leader or by the one it is forwarded to."""
        return self.one.runs(self.at) and self._blocked_without_leader() is None

    def _blocked_without_leader(self) -> Blocked | None:
        return None if self._follows and self.at >= self.one.awake_at else Blocked()

    def _blocked_before_the_newest(self) -> Blocked | None:
        """As a read index does: until what was committed when the request came is applied here."""
        blocked = self._blocked_without_leader()
        if blocked is None and self.applied < self.cluster.last:
            return Blocked(self.cluster.applies_at(self.one, self.cluster.last))
        return blocked

    def header(self) -> wire.Header:
        return wire.Header(
            cluster_id=self.cluster.id,
            member_id=self.one.member_id,
            raft_term=self.cluster.term_at(self.applied),
            revision=self.state.revision,
        )

    # -- reads -----------------------------------------------------------------------------------------------------------

    def status(self, _request: wire.Empty) -> Reply:
        leader = self.leader
        commit = self.cluster.last if self._follows else self.applied
        return wire.StatusResponse(
            header=self.header(),
            version=str(self.cluster.version),
            dbSize=24_576,
            dbSizeInUse=20_480,
            leader=leader,
            raftIndex=commit,
            raftTerm=self.cluster.term_at(self.applied),
            raftAppliedIndex=self.applied,
            errors=[] if leader else ["etcdserver: no leader"],
            isLearner=self.is_learner,
            dbSizeQuota=_QUOTA if self.cluster.is_36 else 0,
        )

    def member_list(self, request: wire.MemberListRequest) -> Reply:
        linearizable = request.linearizable and not self.cluster.is_34
        blocked = self._blocked_before_the_newest() if linearizable else None
        return blocked or wire.MembersResponse(header=self._list_header(), members=to_wire(self.state.rows.values()))

    def _list_header(self) -> wire.Header:
        """Membership has no revision: the header of a list says 0."""
        header = self.header()
        header.revision = 0
        return header

    def range(self, request: wire.RangeRequest) -> Reply:
        blocked = None if request.serializable else self._blocked_before_the_newest()
        return blocked or self._ranged(self.state, request)

    def _ranged(self, state: State, request: wire.RangeRequest) -> wire.RangeResponse:
        keys = sorted(key for key in state.kv if of.in_range(key, request.key, request.range_end))
        shown = [] if request.count_only else keys[: request.limit or None]
        rows = [_key_value(key, state) for key in shown]
        return wire.RangeResponse(header=self.header(), kvs=rows, count=len(keys), more=len(shown) < len(keys))

    def alarm(self, _request: wire.AlarmRequest) -> Reply:
        return wire.AlarmResponse(header=self.header())

    def auth_status(self, _request: wire.Empty) -> Reply:
        return wire.AuthStatusResponse(header=self.header(), enabled=False)

    def hash_kv(self, _request: wire.HashKVRequest) -> Reply:
        return wire.HashKVResponse(header=self.header(), hash=self.state.revision & 0xFFFF, compact_revision=1)

    def time_to_live(self, request: wire.LeaseTimeToLiveRequest) -> Reply:
        granted = self.cluster.state.leases.get(request.ID)
        left = int(self.cluster.expires[request.ID] - self.at) if granted else -1
        return wire.LeaseTimeToLiveResponse(header=self.header(), ID=request.ID, TTL=left, grantedTTL=granted or 0)

    # -- writes ----------------------------------------------------------------------------------------------------------

    def put(self, request: wire.PutRequest) -> Reply:
        self._write(self._put(self.cluster.state, request), f"put {request.key.decode()}")
        return wire.PutResponse(header=self._write_header())

    def _put(self, state: State, request: wire.PutRequest) -> State:
        if request.lease and request.lease not in state.leases:
            raise Refusal("NOT_FOUND", "etcdserver: requested lease not found")
        return of.put(state, request.key, request.value, request.lease)

    def _write(self, state: State, what: str) -> None:
        self.cluster.commit(state, what)

    def _write_header(self) -> wire.Header:
        """The answer to a write comes when it is applied where it was asked."""
        header = self.header()
        header.revision, header.raft_term = self.cluster.state.revision, self.cluster.term
        return header

    def delete_range(self, request: wire.DeleteRangeRequest) -> Reply:
        state, count = of.delete(self.cluster.state, request.key, request.range_end)
        self._write(state, f"delete {request.key.decode()}")
        return wire.DeleteRangeResponse(header=self._write_header(), deleted=count)

    def txn(self, request: wire.TxnRequest) -> Reply:
        state = self.cluster.state
        holds = all(_compare(state, row) for row in request.compare)
        answers: list[wire.ResponseOp] = []
        for step in request.success if holds else request.failure:
            state, answer = self._step(state, step)
            answers.append(answer)
        self._write(state, f"txn {holds}")
        return wire.TxnResponse(header=self._write_header(), succeeded=holds, responses=answers)

    def _step(self, state: State, step: wire.RequestOp) -> tuple[State, wire.ResponseOp]:
        match step.WhichOneof("request"):
            case "request_put":
                return self._put(state, step.request_put), wire.ResponseOp(response_put=wire.PutResponse())
            case "request_delete_range":
                state, count = of.delete(state, step.request_delete_range.key, step.request_delete_range.range_end)
                return state, wire.ResponseOp(response_delete_range=wire.DeleteRangeResponse(deleted=count))
            case _:
                return state, wire.ResponseOp(response_range=self._ranged(state, step.request_range))

    def grant(self, request: wire.LeaseGrantRequest) -> Reply:
        lease = request.ID or 0x7000 + self.cluster.last
        ttl = max(request.TTL, 2)
        self._write(self.cluster.state._replace(leases={**self.cluster.state.leases, lease: ttl}), f"grant {lease}")
        self.cluster.keep_lease(lease, ttl)
        return wire.LeaseGrantResponse(header=self._write_header(), ID=lease, TTL=ttl)

    def revoke(self, request: wire.LeaseRevokeRequest) -> Reply:
        if request.ID not in self.cluster.state.leases:
            raise Refusal("NOT_FOUND", "etcdserver: requested lease not found")
        self._write(of.end_lease(self.cluster.state, request.ID), f"revoke {request.ID}")
        return wire.LeaseRevokeResponse(header=self._write_header())

    def keep_alive(self, request: wire.LeaseKeepAliveRequest) -> Reply:
        ttl = self.cluster.state.leases.get(request.ID, 0)
        if ttl:
            self.cluster.keep_lease(request.ID, ttl)
        return wire.LeaseKeepAliveResponse(header=self._write_header(), ID=request.ID, TTL=ttl)

    # -- members ---------------------------------------------------------------------------------------------------------

    def member_add(self, request: wire.MemberAddRequest) -> Reply:
        new = rules.add(self.cluster, tuple(request.peerURLs), learner=request.isLearner)
        rows = to_wire(self.cluster.state.rows.values())
        return wire.MemberAddResponse(header=self._list_header(), member=next(r for r in rows if new == r.ID), members=rows)

    def member_promote(self, request: wire.MemberPromoteRequest) -> Reply:
        rules.promote(self.cluster, request.ID)
        return self._rows()

    def member_remove(self, request: wire.MemberRemoveRequest) -> Reply:
        rules.remove(self.cluster, request.ID)
        return self._rows()

    def member_update(self, request: wire.MemberUpdateRequest) -> Reply:
        rules.update(self.cluster, request.ID, tuple(request.peerURLs))
        return self._rows()

    def _rows(self) -> wire.MembersResponse:
        return wire.MembersResponse(header=self._list_header(), members=to_wire(self.cluster.state.rows.values()))

    def move_leader(self, request: wire.MoveLeaderRequest) -> Reply:
        target = self.cluster.machine_of(request.targetID)
        if self.one is not self.cluster.leader or not self.cluster.can_commit:
            raise Refusal("FAILED_PRECONDITION", "etcdserver: not leader")
        if target is None or not self.cluster.is_voter(target) or not self.cluster.linked(self.one, target):
            raise Refusal("FAILED_PRECONDITION", "etcdserver: bad leader transferee")
        self.cluster.install(target)
        return wire.HeaderResponse(header=self.header())


def to_wire(rows: Iterable[Row]) -> list[wire.Member]:
    return [
        wire.Member(
            ID=row.id,
            name=row.name,
            peerURLs=row.peer_urls,
            clientURLs=row.client_urls,
            isLearner=row.is_learner,
        )
        for row in rows
    ]


def _key_value(key: bytes, state: State) -> wire.KeyValue:
    row = state.kv[key]
    return wire.KeyValue(
        key=key, value=row.value, create_revision=row.create, mod_revision=row.mod, version=row.version, lease=row.lease
    )


def _compare(state: State, compare: wire.Compare) -> bool:
    row = state.kv.get(compare.key)
    have: Any
    want: Any
    match compare.target:
        case wire.Compare.CREATE:
            have, want = (row.create if row else 0), compare.create_revision
        case wire.Compare.MOD:
            have, want = (row.mod if row else 0), compare.mod_revision
        case wire.Compare.VERSION:
            have, want = (row.version if row else 0), compare.version
        case wire.Compare.VALUE:
            have, want = (row.value if row else None), compare.value
        case _:
            have, want = (row.lease if row else 0), compare.lease
    match compare.result:
        case wire.Compare.EQUAL:
            return bool(have == want)
        case wire.Compare.NOT_EQUAL:
            return bool(have != want)
        case wire.Compare.GREATER:
            return bool(have is not None and have > want)
        case _:
            return bool(have is not None and have < want)


HANDLERS: dict[str, Callable[[Server, Any], Reply]] = {
    "Status": Server.status,
    "MemberList": Server.member_list,
    "Range": Server.range,
    "Alarm": Server.alarm,
    "AuthStatus": Server.auth_status,
    "HashKV": Server.hash_kv,
    "LeaseTimeToLive": Server.time_to_live,
    "Put": Server.put,
    "DeleteRange": Server.delete_range,
    "Txn": Server.txn,
    "LeaseGrant": Server.grant,
    "LeaseRevoke": Server.revoke,
    "LeaseKeepAlive": Server.keep_alive,
    "MemberAdd": Server.member_add,
    "MemberPromote": Server.member_promote,
    "MemberRemove": Server.member_remove,
    "MemberUpdate": Server.member_update,
    "MoveLeader": Server.move_leader,
}
