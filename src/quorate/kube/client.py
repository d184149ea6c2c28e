"""A client for the few API calls of kubeadm's phases; objects are plain values (decision 14)."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from quorate.deadline import CORRECT_CLOCK, Deadline, SystemClock, shown_here
from quorate.errors import ConfigError
from quorate.foreign.documents import API_ANSWER, BadDocument, read_object
from quorate.foreign.http import Answer, Connection, HttpFailed, Request, site_of, split_url
from quorate.foreign.values import rows_of, text_of
from quorate.kube import resources
from quorate.kube.errors import KubeError, NotFound, Unauthorized, Unreachable, Untrusted, from_status
from quorate.kube.resources import Object
from quorate.loggers import logger
from quorate.secret import Secret

_LOGGER = logger(__name__)
FIELD_MANAGER = "quorate"
_POLL_SECONDS = 0.5
_JSON = "application/json"
_RPC_SECONDS = 10.0
_STARTING_SECONDS = 10.0
"""An API server that has just started rejects bootstrap tokens until it has read their secrets."""


@dataclass(frozen=True, slots=True)
class Server:
    """The URL of an API and its credentials. `token`: used instead of a client certificate, may be empty."""

    url: str
    tls: ssl.SSLContext
    token: Secret[str] = field(default_factory=lambda: Secret(""))


@dataclass(slots=True)
class KubeClient:
    """A client of one API server. While the server does not answer, a call is repeated every half second for at most `patience`
    seconds; then it raises `Unreachable`. `Unauthorized` is repeated for 10 s, every other error is raised at once (see
    `quorate.kube.errors`). `rpc_seconds`: the limit of one call. `skew`: the seconds by which this host's clock was ahead of
    the server's at the last answer."""

    server: Server
    clock: SystemClock
    patience: float = 60.0
    rpc_seconds: float = _RPC_SECONDS
    skew: float = 0.0
    _http: Connection | None = None
    _prefix: str = ""

    @contextmanager
    def connected(self) -> Iterator[KubeClient]:
        """Keeps connections for the block. Raises `ConfigError` for a server URL or a token that cannot be sent."""
        try:
            site = site_of(self.server.url, self.server.tls)
        except HttpFailed as error:
            raise ConfigError(f"the address of the API server cannot be used: {error.what}") from None
        if site.tls is None and self.server.token.reveal():
            raise ConfigError("the address of the API server is not https: the token would be sent in the clear")
        with Connection(site, cancel=self.clock.cancel) as http:
            self._http, self._prefix = http, split_url(self.server.url).path.rstrip("/")
            try:
                yield self
            finally:
                self._http = None

    def _headers(self) -> dict[str, str]:
        token = self.server.token.reveal().strip()
        return {"Accept": _JSON, **({"Authorization": f"Bearer {token}"} if token else {})}

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """Returns an object. Raises `NotFound` and every other `KubeError`."""
        return self.request("GET", resources.path(kind, name, namespace))

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """Returns an object as `get`; None when there is no such object."""
        try:
            return self.get(kind, name, namespace)
        except NotFound:
            return None

    def list(self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        """Returns the objects of a kind that match both selectors."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        found = self.request("GET", resources.collection(kind, namespace), {k: v for k, v in query.items() if v})
        return [dict(row) for row in rows_of(found.get("items"))]

    def create(self, value: Object) -> Object:
        """Creates an object. Raises `AlreadyExists`."""
        where = resources.collection(value["kind"], value["metadata"].get("namespace", ""))
        return self.request("POST", where, {"fieldManager": FIELD_MANAGER}, value)

    def apply(self, value: Object) -> Object:
        """Creates or changes an object by server-side apply: our fields win, fields that others added stay."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self.request("PATCH", resources.path_of(value), query, value, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, value: Object, namespace: str = "") -> Object:
        """Changes an object by a strategic merge patch."""
        where = resources.path(kind, name, namespace)
        return self.request("PATCH", where, {"fieldManager": FIELD_MANAGER}, value, "application/strategic-merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str = "", *, uid: str = "") -> None:
        """Deletes an object; a missing one is no error. `uid`: of the object that is meant; one that was made since under
        its name stays."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}} if uid else None
        try:
            self.request("DELETE", resources.path(kind, name, namespace), body=body)
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
        """Makes one call, repeated as the class describes. `kind`: the content type of the body."""
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
                _LOGGER.debug("%s %s is tried again: %s", verb, path, error.what)
                self.clock.sleep(_POLL_SECONDS)

    def _once(self, verb: str, path: str, query: dict[str, str], body: Object | None, kind: str) -> Object:
        content = json.dumps(body).encode() if body is not None else b""
        headers = {**self._headers(), **({"Content-Type": kind} if content else {})}
        if self._http is None:
            raise RuntimeError("the client is not connected")
        target = self._prefix + (f"{path}?{urlencode(query)}" if query else path)
        began, status = time.monotonic(), 0
        try:
            answer = self._http.ask(
                Request(verb, target, content, headers), seconds=self.rpc_seconds, most_bytes=API_ANSWER.size
            )
        except HttpFailed as error:
            if error.certificate:
                raise _untrusted(self.server.url, error.certificate) from None
            raise Unreachable(
                f"the API server at {self.server.url} does not answer: {error.what}",
                advice="check with 'crictl ps' that it runs; read the logs of its container and of the kubelet",
            ) from None
        else:
            status = answer.status
        finally:
            seconds = round(time.monotonic() - began, 6)
            fields = {"method": verb, "path": path, "status": status, "seconds": seconds}
            _LOGGER.debug("%(method)s %(path)s: %(status)d after %(seconds).4f s", fields, extra={"fields": fields})
        self.skew = _skew(answer)
        return _parse(answer, f"{verb} {path}")


def _untrusted(url: str, why: str) -> Untrusted:
    """Returns an error with advice for its cause: a wrong clock makes good certificates look bad."""
    reason = why or "it is not signed by the cluster's CA"
    if "not yet valid" in reason or "expired" in reason:
        reason = f"{reason}, and {shown_here()}"
        advice = f"{CORRECT_CLOCK}; or renew the certificate"
    elif "mismatch" in reason:
        advice = "use an address that the certificate has, or add this one to apiServer.certSANs and renew the certificate"
    else:
        advice = "check that this is the address of the intended cluster"
    return Untrusted(f"the certificate of the API server at {url} is not trusted: {reason}", advice=advice)


def _skew(answer: Answer) -> float:
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(answer.headers["date"])).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def _parse(answer: Answer, what: str) -> Object:
    try:
        told = dict(read_object(answer.body, what, API_ANSWER))
    except BadDocument as error:
        if answer.ok and answer.body.strip() != b"ok":
            raise KubeError(f"{what}: the answer is not an object ({error.what})") from None
        told = {}
    if answer.ok:
        return told
    raise from_status(answer.status, what, text_of(told.get("message")), text_of(told.get("reason")))
