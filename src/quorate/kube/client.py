"""A client for the few calls that kubeadm's phases make; objects are plain values."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from quorate.deadline import Deadline, SystemClock
from quorate.kube import resources
from quorate.kube.errors import KubeError, NotFound, Unauthorized, Unreachable, Untrusted, from_status
from quorate.kube.resources import Object
from quorate.secret import Secret

FIELD_MANAGER = "quorate"
_POLL_SECONDS = 0.5
_JSON = "application/json"
_RPC_SECONDS = 10.0
_MOST_BYTES = 16 << 20
_STARTING_SECONDS = 10.0
"""An API server that has just started takes bootstrap tokens for unknown until it has read their secrets."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the API is and how to log in. `token`: instead of a client certificate, or none."""

    url: str
    tls: ssl.SSLContext
    token: Secret[str] = field(default_factory=lambda: Secret(""))


@dataclass(slots=True)
class KubeClient:
    """Calls are made again every half second while the server does not answer, for at most `patience` seconds; then they raise
    `Unreachable`. Everything else that the server says no to is raised at once, see `quorate.kube.errors`. `rpc_seconds`: how
    long one call may take. `skew`: by how many seconds this host's clock was ahead of the server's at its last answer."""

    server: Server
    clock: SystemClock
    patience: float = 60.0
    rpc_seconds: float = _RPC_SECONDS
    skew: float = 0.0
    _http: httpx.Client | None = None

    @contextmanager
    def connected(self) -> Iterator[KubeClient]:
        """Connections are kept for the block."""
        with httpx.Client(
            base_url=self.server.url, verify=self.server.tls, timeout=self.rpc_seconds, trust_env=False, headers=self._headers()
        ) as http:
            self._http = http
            try:
                yield self
            finally:
                self._http = None

    def _headers(self) -> dict[str, str]:
        token = self.server.token.reveal()
        return {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        return self.request("GET", resources.path(kind, name, namespace))

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """As `get`, None when there is no such object."""
        try:
            return self.get(kind, name, namespace)
        except NotFound:
            return None

    def list(self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        query = {"labelSelector": labels, "fieldSelector": fields}
        found = self.request("GET", resources.collection(kind, namespace), {k: v for k, v in query.items() if v})
        items: list[Object] = found.get("items") or []
        return items

    def create(self, value: Object) -> Object:
        where = resources.collection(value["kind"], value["metadata"].get("namespace", ""))
        return self.request("POST", where, {"fieldManager": FIELD_MANAGER}, value)

    def apply(self, value: Object) -> Object:
        """Make it, or make it so: what we say wins, what others added stays (server-side apply)."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self.request("PATCH", resources.path_of(value), query, value, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, value: Object, namespace: str = "") -> Object:
        where = resources.path(kind, name, namespace)
        return self.request("PATCH", where, {"fieldManager": FIELD_MANAGER}, value, "application/strategic-merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Fine when it is gone already."""
        try:
            self.request("DELETE", resources.path(kind, name, namespace))
        except NotFound:
            return

    def request(
        self,
        verb: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        kind: str = "application/json",
    ) -> Object:
        answered = Deadline(self.clock, self.patience, f"{verb} {path}")
        known = Deadline(self.clock, min(self.patience, _STARTING_SECONDS), "the API server knows its users")
        while True:
            self.clock.cancel.check()
            try:
                return self._once(verb, path, query or {}, body, kind)
            except (Unreachable, Unauthorized) as error:
                deadline = known if isinstance(error, Unauthorized) else answered
                if deadline.expired:
                    raise
                self.clock.sleep(_POLL_SECONDS)

    def _once(self, verb: str, path: str, query: dict[str, str], body: Object | None, kind: str) -> Object:
        content = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": kind} if content else {}
        if self._http is None:
            raise RuntimeError("the client is not connected")
        try:
            with self._http.stream(verb, path, params=query, content=content, headers=headers) as answer:
                told = read_at_most(answer, _MOST_BYTES)
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise _untrusted(self.server.url, str(error)) from None
            raise Unreachable(
                f"the API server at {self.server.url} does not answer: {error or type(error).__name__}",
                advice="is it running? 'crictl ps', or the logs of its container and of the kubelet, tell",
            ) from None
        self.skew = _skew(answer)
        return _parse(answer, told, f"{verb} {path}")


def _untrusted(url: str, why: str) -> Untrusted:
    """A clock that is wrong makes good certificates look bad."""
    reason = (
        why.partition("certificate verify failed:")[2].partition("(_ssl")[0].strip() or "it is not signed by the cluster's CA"
    )
    here = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if "not yet valid" in reason or "expired" in reason:
        advice = f"This host says that it is {here}: set its clock, or renew the certificate"
    elif "mismatch" in reason:
        advice = "Use an address that the certificate has, or add this one to apiServer.certSANs and renew the certificate"
    else:
        advice = "Is this the cluster that is meant?"
    return Untrusted(f"the certificate of the API server at {url} is not to be trusted: {reason}", advice=advice)


def _skew(answer: httpx.Response) -> float:
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0


def read_at_most(answer: httpx.Response, most: int) -> bytes:
    """The body; the first `most` bytes of one that does not end."""
    found = bytearray()
    for part in answer.iter_bytes():
        found += part
        if len(found) >= most:
            break
    return bytes(found[:most])


def _parse(answer: httpx.Response, content: bytes, what: str) -> Object:
    try:
        data: Any = json.loads(content)
    except (ValueError, RecursionError):
        data = None
    told = data if isinstance(data, dict) else {}
    if answer.is_success:
        if not told and content.strip() != b"ok":
            raise KubeError(f"{what}: the answer is not an object")
        return told
    raise from_status(answer.status_code, what, str(told.get("message", "")), str(told.get("reason", "")))
