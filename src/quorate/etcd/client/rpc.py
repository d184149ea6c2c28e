"""etcd's gRPC methods as values: path, message types, and whether a repeated call would repeat an effect (decision 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from quorate.etcd.client import wire_pb2 as wire


class WireMessage(Protocol):
    def SerializeToString(self) -> bytes: ...  # noqa: N802


Req = TypeVar("Req", bound=WireMessage)
Res = TypeVar("Res")


@dataclass(frozen=True, slots=True)
class Method(Generic[Req, Res]):
    """One gRPC method. A `reads_only` one may be sent again to another member; any other without an answer is ambiguous."""

    path: str
    parse: Callable[[bytes], Res]
    reads_only: bool = False

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]


def _kv(name: str) -> str:
    return f"/etcdserverpb.KV/{name}"


def _cluster(name: str) -> str:
    return f"/etcdserverpb.Cluster/{name}"


def _maintenance(name: str) -> str:
    return f"/etcdserverpb.Maintenance/{name}"


def _lease(name: str) -> str:
    return f"/etcdserverpb.Lease/{name}"


def _auth(name: str) -> str:
    return f"/etcdserverpb.Auth/{name}"


RANGE: Method[wire.RangeRequest, wire.RangeResponse] = Method(_kv("Range"), wire.RangeResponse.FromString, reads_only=True)
PUT: Method[wire.PutRequest, wire.PutResponse] = Method(_kv("Put"), wire.PutResponse.FromString)
DELETE_RANGE: Method[wire.DeleteRangeRequest, wire.DeleteRangeResponse] = Method(
    _kv("DeleteRange"), wire.DeleteRangeResponse.FromString
)
TXN: Method[wire.TxnRequest, wire.TxnResponse] = Method(_kv("Txn"), wire.TxnResponse.FromString)
COMPACT: Method[wire.CompactionRequest, wire.CompactionResponse] = Method(_kv("Compact"), wire.CompactionResponse.FromString)

WATCH: Method[wire.WatchRequest, wire.WatchResponse] = Method(
    "/etcdserverpb.Watch/Watch", wire.WatchResponse.FromString, reads_only=True
)

LEASE_GRANT: Method[wire.LeaseGrantRequest, wire.LeaseGrantResponse] = Method(
    _lease("LeaseGrant"), wire.LeaseGrantResponse.FromString
)
LEASE_REVOKE: Method[wire.LeaseRevokeRequest, wire.LeaseRevokeResponse] = Method(
    _lease("LeaseRevoke"), wire.LeaseRevokeResponse.FromString
)
LEASE_KEEP_ALIVE: Method[wire.LeaseKeepAliveRequest, wire.LeaseKeepAliveResponse] = Method(
    _lease("LeaseKeepAlive"), wire.LeaseKeepAliveResponse.FromString
)
LEASE_TIME_TO_LIVE: Method[wire.LeaseTimeToLiveRequest, wire.LeaseTimeToLiveResponse] = Method(
    _lease("LeaseTimeToLive"), wire.LeaseTimeToLiveResponse.FromString, reads_only=True
)

MEMBER_LIST: Method[wire.MemberListRequest, wire.MembersResponse] = Method(
    _cluster("MemberList"), wire.MembersResponse.FromString, reads_only=True
)
MEMBER_ADD: Method[wire.MemberAddRequest, wire.MemberAddResponse] = Method(
    _cluster("MemberAdd"), wire.MemberAddResponse.FromString
)
MEMBER_REMOVE: Method[wire.MemberRemoveRequest, wire.MembersResponse] = Method(
    _cluster("MemberRemove"), wire.MembersResponse.FromString
)
MEMBER_PROMOTE: Method[wire.MemberPromoteRequest, wire.MembersResponse] = Method(
    _cluster("MemberPromote"), wire.MembersResponse.FromString
)

STATUS: Method[wire.Empty, wire.StatusResponse] = Method(
    _maintenance("Status"), wire.StatusResponse.FromString, reads_only=True
)
ALARM: Method[wire.AlarmRequest, wire.AlarmResponse] = Method(_maintenance("Alarm"), wire.AlarmResponse.FromString)
HASH_KV: Method[wire.HashKVRequest, wire.HashKVResponse] = Method(
    _maintenance("HashKV"), wire.HashKVResponse.FromString, reads_only=True
)
MOVE_LEADER: Method[wire.MoveLeaderRequest, wire.HeaderResponse] = Method(
    _maintenance("MoveLeader"), wire.HeaderResponse.FromString
)
DEFRAGMENT: Method[wire.Empty, wire.HeaderResponse] = Method(_maintenance("Defragment"), wire.HeaderResponse.FromString)
SNAPSHOT: Method[wire.Empty, wire.SnapshotResponse] = Method(
    _maintenance("Snapshot"), wire.SnapshotResponse.FromString, reads_only=True
)

AUTHENTICATE: Method[wire.AuthenticateRequest, wire.AuthenticateResponse] = Method(
    _auth("Authenticate"), wire.AuthenticateResponse.FromString, reads_only=True
)
AUTH_STATUS: Method[wire.Empty, wire.AuthStatusResponse] = Method(
    _auth("AuthStatus"), wire.AuthStatusResponse.FromString, reads_only=True
)
AUTH_ENABLE: Method[wire.Empty, wire.HeaderResponse] = Method(_auth("AuthEnable"), wire.HeaderResponse.FromString)
AUTH_DISABLE: Method[wire.Empty, wire.HeaderResponse] = Method(_auth("AuthDisable"), wire.HeaderResponse.FromString)
USER_ADD: Method[wire.UserAddRequest, wire.HeaderResponse] = Method(_auth("UserAdd"), wire.HeaderResponse.FromString)
USER_GRANT_ROLE: Method[wire.UserGrantRoleRequest, wire.HeaderResponse] = Method(
    _auth("UserGrantRole"), wire.HeaderResponse.FromString
)
USER_GET: Method[wire.UserGetRequest, wire.UserGetResponse] = Method(
    _auth("UserGet"), wire.UserGetResponse.FromString, reads_only=True
)
ROLE_GET: Method[wire.RoleGetRequest, wire.RoleGetResponse] = Method(
    _auth("RoleGet"), wire.RoleGetResponse.FromString, reads_only=True
)
ROLE_ADD: Method[wire.RoleAddRequest, wire.HeaderResponse] = Method(_auth("RoleAdd"), wire.HeaderResponse.FromString)
ROLE_GRANT_PERMISSION: Method[wire.RoleGrantPermissionRequest, wire.HeaderResponse] = Method(
    _auth("RoleGrantPermission"), wire.HeaderResponse.FromString
)
