"""Exceptions for the errors of etcd, classified by message text.

gRPC codes cannot be trusted: etcd sends UNKNOWN for "not enough started members" and changed the code of "rpc not supported
for learner" in 3.6. The texts are the same from 3.4 to 3.7 (`server/etcdserver/api/v3rpc/rpctypes/error.go`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from quorate.errors import QuorateError
from quorate.spelling import spelled

Disposition: TypeAlias = Literal["final", "retryable", "ambiguous"]
"""final: the same call will fail again. retryable: the call changed nothing and may succeed later. ambiguous: the call may have
changed something; only another look shows it."""


class EtcdError(QuorateError):
    """etcd answered with an error, or did not answer. `endpoint` is the member that was asked, `method` the RPC."""

    code = "etcd"
    next_step = "the text is etcd's own: fix the cause that it names, then run the same command again"
    disposition: Disposition = "final"

    def __init__(self, what: str, *, endpoint: str = "", method: str = "", state: str = "", advice: str = "") -> None:
        where = f" ({method} at {endpoint})" if endpoint else ""
        super().__init__(f"{what}{where}", state=state, advice=advice)
        self.text = what
        self.endpoint = endpoint
        self.method = method


class Unreachable(EtcdError):
    """No connection was made, so nothing was sent."""

    code = "unreachable"
    next_step = "check the endpoint, and that etcd runs there"
    disposition: Disposition = "retryable"


class TlsRefused(Unreachable):
    """The TLS handshake failed; waiting will not help."""

    code = "tls"
    next_step = "check {options}"
    options = (
        "--cacert",
        "--cert",
        "--key",
    )
    disposition: Disposition = "final"


class NoAnswer(EtcdError):
    """A read-only call was not answered in time, or its connection broke."""

    code = "no-answer"
    next_step = "run the same command again; quorate etcd status shows which members answer"
    disposition: Disposition = "retryable"


class AnswerLost(EtcdError):
    """A call that changes something was not answered: the change may have been made."""

    code = "answer-lost"
    next_step = "run the same command again: it looks first"
    disposition: Disposition = "ambiguous"


class Unavailable(EtcdError):
    """The cluster has no leader now, the leader is changing, or the member is overloaded."""

    code = "unavailable"
    next_step = "wait for a leader; quorate etcd status shows it"
    disposition: Disposition = "retryable"


class ServerTimedOut(EtcdError):
    """etcd gave up waiting for its own proposal, which may still be committed."""

    code = "server-timeout"
    next_step = "run the same command again: it looks first"
    disposition: Disposition = "ambiguous"


class UnhealthyCluster(EtcdError):
    """strict-reconfig-check: a voter is not connected, or has been for less than 5 s."""

    code = "unhealthy-cluster"
    next_step = "wait until all voters are connected, then run the same command again"
    disposition: Disposition = "retryable"


class NotEnoughStarted(EtcdError):
    """etcd counts too few started members to allow the change."""

    code = "not-enough-started"
    next_step = "start the members that are registered, or remove them"


class TooManyLearners(EtcdError):
    """All learner seats are taken."""

    code = "too-many-learners"
    next_step = "wait for the other join; quorate etcd unlock shows it, and learners that no join has"
    disposition: Disposition = "retryable"


class LearnerNotReady(EtcdError):
    """etcd reports that the learner is too far behind the leader."""

    code = "learner-not-ready"
    next_step = "wait; quorate etcd watch shows the lag"
    disposition: Disposition = "retryable"


class NotALearner(EtcdError):
    """The member has a vote already."""

    code = "not-a-learner"
    next_step = "nothing: it has what a promotion gives"


class MemberNotFound(EtcdError):
    """No member has this id; it may have been removed."""

    code = "member-not-found"
    next_step = "quorate etcd members shows the ids"


class MemberExists(EtcdError):
    """The id or the peer URL belongs to a member already."""

    code = "member-exists"
    next_step = "quorate etcd members shows the members; give another peer URL"


class RpcOnLearner(EtcdError):
    """A learner serves only Status, serializable reads and snapshots."""

    code = "rpc-on-learner"
    next_step = "give the endpoint of a voter"


class NotLeader(EtcdError):
    """The member that was asked is not the leader."""

    code = "not-leader"
    next_step = "run the same command again"
    disposition: Disposition = "retryable"


class NoSpace(EtcdError):
    """The database is over its quota: nothing can be written."""

    code = "no-space"
    next_step = "compact, defragment and disarm the alarm: etcdctl compaction, etcdctl defrag, etcdctl alarm disarm"


class CorruptCluster(EtcdError):
    """Members have different data at the same revision."""

    code = "corrupt"
    next_step = "stop changing members; find the member that differs with quorate etcd status --hash"


class ProxyAnswers(EtcdError):
    """A grpc-proxy answers at the endpoint: through it nobody can tell which member is asked."""

    code = "proxy"
    next_step = "give the endpoints of the members themselves with {options}"
    options = ("--endpoints",)


class LoginFailed(EtcdError):
    """The user or the password is wrong, or there is none, and the cluster asks for a login."""

    code = "login"
    next_step = "log in with {options} and a password, or check both"
    options = ("--user",)


class AuthOff(EtcdError):
    """The cluster has authentication switched off: there is no user to log in as."""

    code = "auth-off"
    next_step = "leave out {options}"
    options = ("--user",)


class TokenExpired(EtcdError):
    """The auth token is no longer valid; nothing was done, and a new login fixes it."""

    code = "token"
    next_step = "run the same command again"
    disposition: Disposition = "retryable"


class PermissionDenied(EtcdError):
    """The etcd user lacks the permission for this."""

    code = "permission"
    next_step = "changing members needs the role root"


class LeaseNotFound(EtcdError):
    """The lease has expired."""

    code = "lease-not-found"
    next_step = "run the same command again"


class Compacted(EtcdError):
    """The revision was compacted."""

    code = "compacted"
    next_step = "ask for a newer revision"


_TEXTS: tuple[tuple[str, type[EtcdError]], ...] = (
    ("can only promote a learner member which is in sync with leader", LearnerNotReady),
    ("can only promote a learner member", NotALearner),
    ("too many learner members in cluster", TooManyLearners),
    ("rpc not supported for learner", RpcOnLearner),
    ("not enough started members", NotEnoughStarted),
    ("unhealthy cluster", UnhealthyCluster),
    ("member not found", MemberNotFound),
    ("member ID already exist", MemberExists),
    ("Peer URLs already exists", MemberExists),
    ("waiting for the applied index took too long", Unavailable),
    ("etcdserver: request timed out", ServerTimedOut),
    ("no leader", Unavailable),
    # From raft, while leadership is transferred: the proposal was dropped and never written.
    ("raft proposal dropped", Unavailable),
    ("leader changed", ServerTimedOut),
    ("server stopped", ServerTimedOut),
    # The same, from raft, on a member that was just removed. Its proposal may be committed; other members can be asked.
    ("raft: stopped", ServerTimedOut),
    ("not leader", NotLeader),
    ("bad leader transferee", NotLeader),
    ("too many requests", Unavailable),
    ("not capable", Unavailable),
    ("database space exceeded", NoSpace),
    ("corrupt cluster", CorruptCluster),
    ("invalid auth token", TokenExpired),
    ("revision of auth store is old", TokenExpired),
    ("authentication failed", LoginFailed),
    ("user name is empty", LoginFailed),
    # What an administrator may do is asked for the user of the token; there is none without a login.
    ("user name not found", LoginFailed),
    ("authentication is not enabled", AuthOff),
    ("permission denied", PermissionDenied),
    ("requested lease not found", LeaseNotFound),
    ("required revision has been compacted", Compacted),
)

_NEVER_SENT = (
    "failed to connect to all addresses",
    "Failed to connect",
    "name resolver",
    "DNS resolution failed",
    "No address",
    "errors resolving",
)
_TLS = ("handshake", "SSL_ERROR", "CERTIFICATE", "TSI_")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed RPC as the transport reports it: gRPC's status name and text, the endpoint, and the method."""

    status: str
    text: str
    endpoint: str
    method: str
    reads_only: bool


def classify(failure: Failure) -> EtcdError:
    """Returns the exception for a failed call: by etcd's text if there is one, else by the transport's status."""
    kind = _kind(failure)
    text = failure.text
    if kind in (NoAnswer, AnswerLost):
        text = "no answer in time" if failure.status == "DEADLINE_EXCEEDED" else _broken_reason(text)
    elif kind is TlsRefused:
        text = f"TLS handshake failed: {_tls_reason(text)}"
    elif kind is Unreachable:
        text = f"cannot connect: {_connect_reason(text)}"
    elif kind is EtcdError and "Received http2 header" in text:
        text = "what answers there speaks HTTP/2, and is not etcd"
    return kind(text, endpoint=failure.endpoint, method=failure.method)


def _kind(failure: Failure) -> type[EtcdError]:
    for text, kind in _TEXTS:
        if text in failure.text:
            return NoAnswer if kind is ServerTimedOut and failure.reads_only else kind
    if failure.status == "UNAVAILABLE" and any(mark in failure.text for mark in _NEVER_SENT):
        return TlsRefused if any(mark in failure.text for mark in _TLS) else Unreachable
    if failure.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL"):
        return NoAnswer if failure.reads_only else AnswerLost
    return EtcdError


def _tls_reason(text: str) -> str:
    for mark, reason in (
        (
            "CERTIFICATE_VERIFY_FAILED",
            "the server's certificate is not signed by the given CA, is expired, or lacks the address",
        ),
        ("UNKNOWN_CA", "the server does not trust our client certificate"),
        ("CERTIFICATE_EXPIRED", "our client certificate has expired by the clock of the server"),
        ("BAD_CERTIFICATE", "the server rejects our client certificate"),
        ("CERTIFICATE_REQUIRED", "the server requires a client certificate"),
        ("WRONG_VERSION_NUMBER", "the server does not speak TLS on this port"),
    ):
        if mark in text:
            return reason
    if "Unwrap failed" in text or "TSI_DATA_CORRUPTED" in text:
        return f"the server closed the connection: it requires a client certificate that it trusts, {spelled('--cert')}"
    named = text.partition("OPENSSL_internal:")[2].partition(":")[0].split(" ", 1)[0]
    return named.lower().replace("_", " ") if named.isascii() and named else "the handshake did not end"


_SYSTEM = (
    "Connection refused",
    "No route to host",
    "Network is unreachable",
    "Connection timed out",
    "Connection reset by peer",
    "Broken pipe",
)
_HANGS = "the port is open, but etcd does not answer: it may be starting, hang, have no quorum, or not speak TLS there"
_CONNECTING: tuple[tuple[str, str], ...] = (
    ("Handshake read failed", _HANGS),
    ("timed out before receiving SETTINGS", _HANGS),
    ("Failed parsing HTTP/2", "what listens there is not etcd"),
    ("Socket closed", "the server closes each connection: it may speak TLS (https://)"),
    *((mark, "the host name has no address") for mark in ("errors resolving", "name resolver", "DNS resolution", "No address")),
)
"""What gRPC's texts mean. They name its own parts and an address that the error names already."""


def _connect_reason(text: str) -> str:
    meant = next((reason for mark, reason in _CONNECTING if mark in text), "")
    return meant or next((mark.lower() for mark in _SYSTEM if mark in text), "no connection could be made")


def _broken_reason(text: str) -> str:
    known = next((mark.lower() for mark in _SYSTEM if mark in text), "")
    return f"the connection broke: {known}" if known else "the connection broke"
