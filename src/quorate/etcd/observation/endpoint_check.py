"""Finds why no endpoint that a user named leads to a cluster: each is dialled once more, because gRPC's texts do not tell."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from quorate.deadline import CORRECT_CLOCK, shown_here
from quorate.etcd.client import peer_port
from quorate.etcd.client.endpoint import Endpoint, Tls
from quorate.etcd.client.errors import EtcdError, NoAnswer, TlsRefused, Unreachable
from quorate.foreign.resolve import SocketAddress, resolve
from quorate.spelling import spelled

_SECONDS = 2.0
_MOST_AT_ONCE = 16
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What an HTTP/2 client says first; a server answers with a SETTINGS frame (type 4)."""
_SETTINGS = 4
_NEXT_RUN = "check the endpoint, and that etcd runs there ('systemctl status etcd', 'crictl ps --name etcd')"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an endpoint gave no answer, and what to do. `tls`: the TLS settings are the reason, so waiting does not help."""

    why: str
    advice: str
    tls: bool = False


def explained(error: EtcdError, seeds: Sequence[Endpoint], tls: Tls | None) -> EtcdError:
    """Returns the error of a run that no endpoint answered, with the cause at each endpoint. Returns `error` itself where a
    server gave it: what answers is reached."""
    if not isinstance(error, Unreachable | NoAnswer) or "etcdserver" in error.text:
        return error
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        causes = list(pool.map(partial(cause_at, tls=tls), seeds))
    places: dict[str, list[str]] = {}
    for seed, cause in zip(seeds, causes, strict=True):
        places.setdefault(cause.why, []).append(str(seed))
    what = "; ".join(f"{', '.join(where)}: {why}" for why, where in places.items())
    kind = TlsRefused if all(cause.tls for cause in causes) else type(error)
    advice = "; ".join(dict.fromkeys(cause.advice for cause in causes))
    return kind(f"no endpoint answers: {what}" if len(seeds) > 1 else what, state="nothing was changed", advice=advice)


def cause_at(endpoint: Endpoint, tls: Tls | None) -> Cause:
    """Returns why no etcd answers our calls at this endpoint, as plain sockets show it."""
    addresses = resolve(endpoint.host, endpoint.port)
    if not addresses:
        return Cause(
            f"the host name {endpoint.host} has no address", "correct the name, or check DNS and /etc/hosts on this machine"
        )
    return _connect_problem(addresses[0]) or _speech_problem(endpoint, addresses[0], tls)


def _connect_problem(address: SocketAddress) -> Cause | None:
    try:
        with socket.socket(address.family, socket.SOCK_STREAM) as plain:
            plain.settimeout(_SECONDS)
            plain.connect(address.where)
    except ConnectionRefusedError:
        return Cause("connection refused: nothing listens there", _NEXT_RUN)
    except OSError as error:
        why = "no answer to the connection" if isinstance(error, TimeoutError) else str(error.strerror or error).lower()
        return Cause(why, "check that the machine is up, its address, routes and firewalls")
    return None


def _speech_problem(endpoint: Endpoint, address: SocketAddress, tls: Tls | None) -> Cause:
    """Returns why a port that is open gives us no answer: most often one side speaks TLS and the other does not."""
    secure = endpoint.tls == "on" or (endpoint.tls == "auto" and tls is not None)
    if _speaks_tls(address):
        missing = "" if tls is not None else f", with {spelled('--cacert', '--cert', '--key')}"
        wrong = Cause("the server speaks TLS there", f"use https://{endpoint}{missing}", tls=True)
        return _unless_peer_port(_with_tls(endpoint, address, tls), f"https://{endpoint}", tls) if secure else wrong
    found = _unless_peer_port(_without_tls(address), f"http://{endpoint}", None)
    return (
        Cause("the server does not speak TLS there", f"use http://{endpoint}", tls=True) if secure and found is _LATE else found
    )


_HANGS = Cause(
    "the port is open, but nothing answers: etcd may be starting, hang, or have no quorum",
    "look at its log; run the same command again in a moment",
)
_LATE = Cause(
    "etcd is reached, and gives no answer in time: it may have no leader, or be busy",
    "look at its log; run the same command again in a moment",
)
_NOT_ETCD = Cause("what listens there is not etcd", "give the client URL of a member (by default port 2379)")
_PEER_PORT = Cause(
    "what listens there is the peer port of an etcd member, where it serves the other members only",
    "give the client URL of a member (by default port 2379)",
)


def _unless_peer_port(found: Cause, url: str, tls: Tls | None) -> Cause:
    """Returns the cause for a peer port where one answers: it speaks HTTP too, and no call of ours ends there."""
    if found not in (_LATE, _NOT_ETCD):
        return found
    return _PEER_PORT if peer_port.members(url, tls, timeout=_SECONDS) is not None else found


def _speaks_tls(address: SocketAddress) -> bool:
    """Returns whether the server answers a TLS greeting with TLS. No handshake is completed, so nothing is trusted."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    greeting = context.wrap_bio(incoming, outgoing)
    with suppress(ssl.SSLWantReadError):
        greeting.do_handshake()
    return _first_bytes(address, outgoing.read(), 1) in (b"\x15", b"\x16")


def _first_bytes(address: SocketAddress, said: bytes, count: int) -> bytes | None:
    """Returns the first bytes that the server answers; empty when it hangs up, None when it stays silent."""
    with socket.socket(address.family, socket.SOCK_STREAM) as plain:
        plain.settimeout(_SECONDS)
        try:
            plain.connect(address.where)
            plain.sendall(said)
            found = plain.recv(count)
            while 0 < len(found) < count and (more := plain.recv(count - len(found))):
                found += more
        except TimeoutError:
            return None
        except OSError:
            return b""
    return found


def _without_tls(address: SocketAddress) -> Cause:
    answer = _first_bytes(address, _PREFACE, 9)
    if answer is None:
        return _HANGS
    if len(answer) == 9 and answer[3] == _SETTINGS:
        return _LATE
    return _NOT_ETCD


def _with_tls(endpoint: Endpoint, address: SocketAddress, tls: Tls | None) -> Cause:
    context = tls.context() if tls else ssl.create_default_context()
    with socket.socket(address.family, socket.SOCK_STREAM) as plain:
        plain.settimeout(_SECONDS)
        try:
            plain.connect(address.where)
            with context.wrap_socket(plain, server_hostname=endpoint.host.partition("%")[0]) as secure:
                # With TLS 1.3 a server that refuses our certificate says so only after the handshake.
                secure.sendall(_PREFACE)
                secure.recv(1)
        except ssl.SSLCertVerificationError as error:
            return _distrusted(error, tls)
        except TimeoutError:
            return _HANGS
        except (ssl.SSLError, ConnectionError) as error:
            return _refused_us(error, tls)
        except OSError:
            return _HANGS
    return _LATE


def _distrusted(error: ssl.SSLCertVerificationError, tls: Tls | None) -> Cause:
    if tls is None or tls.ca is None:
        return Cause(
            "TLS handshake failed: no CA was given, and the system's do not know the server's certificate",
            f"pass the CA of the servers with {spelled('--cacert')}; on a control-plane node: /etc/kubernetes/pki/etcd/ca.crt",
            tls=True,
        )
    reason = error.verify_message.rstrip(".")
    if "self-signed certificate" in reason or "unable to get" in reason:
        reason = f"the server's certificate is not signed by {tls.files.ca}"
    if "not yet valid" in reason or "expired" in reason:
        # Another CA would not help.
        return Cause(
            f"TLS handshake failed: the server's {reason}, and {shown_here()}",
            f"{CORRECT_CLOCK}; or renew the server's certificate",
            tls=True,
        )
    if "mismatch" in reason:
        advice = "name the server by an address that its certificate has, or renew the certificate with this one"
        return Cause(f"TLS handshake failed: {reason}", advice, tls=True)
    return Cause(
        f"TLS handshake failed: {reason}",
        f"pass the CA that signed the server's certificate with {spelled('--cacert')}",
        tls=True,
    )


def _refused_us(error: ssl.SSLError | ConnectionError, tls: Tls | None) -> Cause:
    if tls is None or tls.cert is None:
        return Cause(
            "TLS handshake failed: the server requires a client certificate, and none was given",
            f"pass {spelled('--cert', '--key')}",
            tls=True,
        )
    reason = str(getattr(error, "reason", "") or "").lower().replace("_", " ") or "it closed the connection"
    if "expired" in reason:
        return Cause(
            f"TLS handshake failed: the client certificate {tls.files.cert} has expired by the clock of the server, and "
            f"{shown_here()}",
            f"{CORRECT_CLOCK}; or pass a certificate that has not expired with {spelled('--cert', '--key')}",
            tls=True,
        )
    return Cause(
        f"TLS handshake failed: the server rejects our client certificate {tls.files.cert}: {reason}",
        "pass a certificate that the server's CA for clients signed, and that has not expired, with "
        f"{spelled('--cert', '--key')}",
        tls=True,
    )
