"""One gRPC channel to one member: a deadline on every call, tokens renewed, failures classified.

There is no load balancing here: quorate always knows which member it asks, because a learner, a follower and a leader
answer differently. The callers choose the member: `client/anyone`, `observation/look` and `membership/executor`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias, TypeVar, cast

from quorate.deadline import Cancel
from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.endpoint import Endpoint, Login, Tls
from quorate.etcd.client.errors import (
    AuthOff,
    EtcdError,
    Failure,
    LoginFailed,
    PermissionDenied,
    RpcOnLearner,
    TokenExpired,
    Unreachable,
    classify,
)
from quorate.etcd.client.rpc import Method, Req
from quorate.loggers import logger
from quorate.quiet_grpc import grpc

_LOGGER = logger(__name__)
Res = TypeVar("Res")
Gathered = TypeVar("Gathered")
_Metadata = tuple[tuple[str, str], ...]
Borrow = Callable[["str | None", float], str]
"""Returns a token issued by another member: not the one that was refused, within so many seconds."""

Handover: TypeAlias = AbstractContextManager[object]
"""The moment in which a request is handed over to grpc, as a block that is entered before it and left after it."""
NO_HANDOVER: Handover = nullcontext()

_MOST_BYTES, _MOST_RANGE_BYTES = 4 << 20, 64 << 20
"""Limits of one message, for a member may have a name of 200 MB. A snapshot comes in messages of 32 KiB; only a Range is as
large as the stored data."""

_LIMITS = f"""{{"methodConfig": [
    {{"name": [{{}}], "maxResponseMessageBytes": {_MOST_BYTES}}},
    {{"name": [{{"service": "etcdserverpb.KV", "method": "Range"}}], "maxResponseMessageBytes": {_MOST_RANGE_BYTES}}}
]}}"""
_SLICE_SECONDS, _SLICES_OF_GRACE = 0.1, 5
_SILENCE_SECONDS = 30.0
_SHORT_SECONDS = 2.0
"""A stop waits for a read that ends within so many seconds anyway."""
_OPTIONS = (
    # grpc takes the smaller of this and the method's own limit.
    ("grpc.max_receive_message_length", -1),
    ("grpc.service_config", _LIMITS),
    # Otherwise a DNS record of an untrusted server could replace these limits.
    ("grpc.service_config_disable_resolution", 1),
    # By default grpc waits 1 s and more between connection attempts: a joiner would be seen that much later.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 200),
    # Channels of other runs in this process must not share our connection state.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("SingleThreadedUnaryStream", 1),
)
_AUTH_IS_OFF = ""
"""The token of a user where authentication is off."""


OpenCalls: TypeAlias = dict[object, tuple[str, float]]
"""The calls that are not answered yet: each with what was asked and of whom, and when (seconds of the monotonic clock)."""


class Channel:
    """A channel to the member at `endpoint`. Close it, or use it in a `with`. `calls`: where it notes its open calls."""

    def __init__(
        self,
        endpoint: Endpoint,
        tls: Tls | None = None,
        login: Login | None = None,
        borrow: Borrow | None = None,
        *,
        cancel: Cancel | None = None,
        calls: OpenCalls | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._cancel = cancel
        self._calls = {} if calls is None else calls
        self._login = login
        self._borrow = borrow
        self._token: str | None = None
        self._refused: str | None = None
        self._channel = _open(endpoint, tls)
        self._ways: dict[str, grpc.UnaryUnaryMultiCallable[Any, Any]] = {}

    def call(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        """Makes one unary call, answered within `timeout` seconds; raises a subclass of `EtcdError`.

        A refused token is renewed once, and a missing one where authentication was off and is on now. etcd refuses both before
        it does anything, so no effect is repeated.
        """
        try:
            return self._unary(method, request, timeout, self._metadata(timeout))
        except (TokenExpired, LoginFailed, PermissionDenied) as error:
            # Without a token etcd takes the name in the client certificate for the user: permission denied.
            if not isinstance(error, TokenExpired) and self._token != _AUTH_IS_OFF:
                raise
            self._refused, self._token = self._token, None
            return self._unary(method, request, timeout, self._metadata(timeout))

    def user(self, timeout: float) -> str:
        """Returns who is logged in; empty without a login, and where authentication is off. Raises as a call does."""
        is_known = self._login is not None and bool(self._metadata(timeout))
        return self._login.user if self._login is not None and is_known else ""

    def call_once(self, method: Method[Req, Res], request: Req, timeout: float, handover: Handover = NO_HANDOVER) -> Res:
        """Makes one unary call as `call`, but never twice. What was true when the caller looked may not be true after a login,
        during which a learner died and was promoted all the same; a refused token ends the call, and the next one has a new
        one.

        `handover` is entered directly before the request is handed over to grpc, when all else is done, and left directly after
        it. What it raises when it is entered ends the call, and nothing is sent.
        """
        try:
            return self._unary(method, request, timeout, self._metadata(timeout), handover)
        except (TokenExpired, LoginFailed, PermissionDenied):
            if self._login is not None:
                self._refused, self._token = self._token, None
            raise

    def log_in_first(self, timeout: float) -> None:
        """Gets a token where the next call would need one first."""
        self._metadata(timeout)

    def _unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: _Metadata, handover: Handover = NO_HANDOVER
    ) -> Res:
        call = self._ways.get(method.path)
        if call is None:
            call = self._ways[method.path] = self._channel.unary_unary(
                method.path, request_serializer=type(request).SerializeToString, response_deserializer=method.parse
            )
        with self._classified(method), self._noted(method):
            if method.reads_only and (self._cancel is None or timeout <= _SHORT_SECONDS):
                # A future costs a thread, a third of what the call costs: a daemon makes several of them a second.
                return cast("Res", call(request, timeout=timeout, metadata=metadata))
            with handover:
                future = call.future(request, timeout=timeout, metadata=metadata)
            if self._cancel is None:
                return cast("Res", future.result())
            return cast("Res", self._read(future) if method.reads_only else self._changed(future, method))

    def _read(self, future: grpc.Future[Any]) -> Any:
        while True:
            try:
                return future.result(timeout=_SLICE_SECONDS)
            except grpc.FutureTimeoutError:
                if self._cancel is not None and self._cancel.pending:
                    future.cancel()
                    self._cancel.check()

    def _changed(self, future: grpc.Future[Any], method: Method[Any, Any]) -> Any:
        """Returns the answer to a call that changes something. The request may be carried out after a stop, so a stop waits
        half a second for the answer. Then the answer counts as lost, and only a look shows the outcome."""
        left = _SLICES_OF_GRACE
        while True:
            try:
                return future.result(timeout=_SLICE_SECONDS)
            except grpc.FutureTimeoutError:
                left -= self._cancel is not None and self._cancel.pending
                if not left:
                    future.cancel()
                    raise classify(
                        Failure("CANCELLED", "a stop was requested", str(self.endpoint), method.name, reads_only=False)
                    ) from None

    def server_stream(
        self, method: Method[Req, Res], request: Req, timeout: float, gather: Callable[[Iterable[Res]], Iterator[Gathered]]
    ) -> Iterator[Gathered]:
        """Makes a server-streaming call. `timeout` bounds the whole stream; one that brings nothing for half a minute ends
        with `Unreachable`: a member that is suspended keeps its connection. A stop ends it, too.

        `gather` runs in the thread that receives, and makes fewer of many messages: to hand each over to another thread costs
        more than to receive it. It holds nothing back for longer than a second.
        """
        # Only a snapshot needs it.
        from quorate.etcd.client.stream import SilentStreamError, pumped

        call = self._channel.unary_stream(
            method.path, request_serializer=type(request).SerializeToString, response_deserializer=method.parse
        )
        with self._classified(method), self._noted(method):
            open_call = call(request, timeout=timeout, metadata=self._metadata(timeout))
            try:
                yield from pumped(gather(open_call), _SILENCE_SECONDS, self._cancel)
            except SilentStreamError:
                raise Unreachable(
                    f"{self.endpoint} sent nothing for {_SILENCE_SECONDS:g} s in the middle of {method.name}",
                    endpoint=str(self.endpoint),
                ) from None
            finally:
                open_call.cancel()  # type: ignore[no-untyped-call]

    def bidi_stream(self, method: Method[Req, Res], requests: Iterable[Req], timeout: float) -> Iterator[Res]:
        """Opens a two-way stream, which ends when `requests` is exhausted and answered, when the caller closes the iterator, or
        after `timeout`."""
        call = self._channel.stream_stream(
            method.path,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=method.parse,
        )
        with self._classified(method):
            stream = call(iter(requests), timeout=timeout, metadata=self._metadata(timeout))
            try:
                yield from stream
            finally:
                stream.cancel()  # type: ignore[no-untyped-call]

    @contextmanager
    def _noted(self, method: Method[Any, Any]) -> Iterator[None]:
        key = object()
        self._calls[key] = (f"{self.endpoint} ({method.name})", time.monotonic())
        try:
            yield
        finally:
            del self._calls[key]

    @contextmanager
    def _classified(self, method: Method[Req, Res]) -> Iterator[None]:
        """Raises failures of the block as our errors, and logs how the call ended: neither what was sent nor what came back."""
        began, code = time.monotonic(), "CANCELLED"
        try:
            yield
            code = "OK"
        except grpc.RpcError as error:
            code = cast("grpc.Call", error).code().name
            raise self._failure(method, error) from None
        finally:
            seconds = round(time.monotonic() - began, 6)
            fields = {"method": method.name, "endpoint": str(self.endpoint), "seconds": seconds, "code": code}
            _LOGGER.debug("%(method)s at %(endpoint)s: %(code)s after %(seconds).4f s", fields, extra={"fields": fields})

    def _failure(self, method: Method[Req, Res], error: grpc.RpcError) -> EtcdError:
        # Every error a call raises is a `grpc.Call` as well; the stubs do not say so.
        call = cast("grpc.Call", error)
        return classify(Failure(call.code().name, call.details() or "", str(self.endpoint), method.name, method.reads_only))

    def _metadata(self, timeout: float) -> _Metadata:
        if self._login is None:
            return ()
        if self._token is None:
            try:
                self._token = self._new_token(self._login, timeout)
            except AuthOff:
                # As etcdctl: a script may name its user before authentication is switched on.
                self._token = _AUTH_IS_OFF
        return (("token", self._token),) if self._token else ()

    def _new_token(self, login: Login, timeout: float) -> str:
        """Returns a new token. Learners reject Authenticate but accept tokens of other members, so one of those is borrowed."""
        try:
            return self.log_in(login, timeout)
        except RpcOnLearner:
            if self._borrow is None:
                raise
            return self._borrow(self._refused, timeout)

    def log_in(self, login: Login, timeout: float) -> str:
        """Returns a new token from this member; raises `LoginFailed`, and `RpcOnLearner` on a learner."""
        request = wire.AuthenticateRequest(name=login.user, password=login.password.reveal())
        return self._unary(rpc.AUTHENTICATE, request, timeout, ()).token

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(endpoint: Endpoint, tls: Tls | None) -> grpc.Channel:
    target = f"ipv6:{endpoint.target}" if ":" in endpoint.host else endpoint.target
    if endpoint.tls == "off" or (endpoint.tls == "auto" and tls is None):
        return grpc.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=tls.ca if tls else None,
        private_key=tls.key.reveal() if tls and tls.key else None,
        certificate_chain=tls.cert if tls else None,
    )
    return grpc.secure_channel(target, credentials, options=_OPTIONS)
