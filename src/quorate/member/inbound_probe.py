"""The inbound probe: a short listen on the peer port, after the registration of the learner and before the start of its etcd.
Voters that reach this host dial it by themselves."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from quorate.core.ids import address_of
from quorate.errors import HostError
from quorate.etcd.client.endpoint import TlsFiles
from quorate.foreign.resolve import resolve
from quorate.foreign.urls import parts_of
from quorate.host import ports
from quorate.member.spec import EtcdSpec, listen_url

SECONDS = 5.0
"""Voters dial a new member within a tenth of a second, and then repeatedly."""

_HANDSHAKE_SECONDS = 2.0
"""A port scanner that connects and sends nothing must not use up the time in which the voters dial."""


@dataclass(slots=True)
class InboundDials:
    """The addresses that dialled: those that were trusted, and why the others were refused."""

    trusted: set[str] = field(default_factory=set[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])


def expect_voters(spec: EtcdSpec, voter_urls: Sequence[str], *, seconds: float = SECONDS) -> list[str]:
    """Listens until every voter has dialled and was trusted, or `seconds` are over. Returns the peer URLs of the voters that
    have not dialled.

    Raises `HostError` when no dial was trusted: an etcd started now would wait for ever. Voters with the same address, or
    with address translation, cannot be distinguished: then one of them counts for all.
    """
    wanted = {url: _addresses(url) for url in voter_urls}
    heard = _listen(spec, wanted, seconds)
    if not heard.trusted:
        raise HostError(
            f"no voter reached {spec.peer_url} within {seconds:g} s{_reasons(heard)}",
            advice="open the port in firewalls, check --peer-urls and the peer certificate; --no-inbound-probe skips this",
        )
    known = set().union(*wanted.values())
    if not heard.trusted & known:
        return []
    return [url for url, addresses in wanted.items() if not addresses & heard.trusted]


def _reasons(heard: InboundDials) -> str:
    return "".join(f"; {address}: {why}" for address, why in sorted(heard.refused.items()))


def _addresses(url: str) -> set[str]:
    return {_plain(found.host) for found in resolve(address_of(url), 0)}


def _plain(address: str) -> str:
    """Returns an IPv4-mapped IPv6 address (::ffff:10.0.0.1) as IPv4, and any other address without its zone id."""
    literal = ipaddress.ip_address(address.partition("%")[0])
    return str((literal.ipv4_mapped if literal.version == 6 else None) or literal)


def _listen(spec: EtcdSpec, wanted: dict[str, set[str]], seconds: float) -> InboundDials:
    parts, heard = parts_of(listen_url(spec.peer_url)), InboundDials()
    context = _server_context(spec.peer) if parts.scheme == "https" and spec.peer else None
    end = time.monotonic() + seconds
    try:
        server = ports.listen(parts.host, parts.port or 0)
    except OSError as error:
        raise HostError(f"cannot listen on {spec.peer_url}: {error.strerror}") from error
    with server:
        while (left := end - time.monotonic()) > 0 and not _all_heard(heard, wanted):
            server.settimeout(left)
            with contextlib.suppress(TimeoutError):
                plain, address = server.accept()
                _greet(plain, _plain(str(address[0])), context, heard)
    return heard


def _all_heard(heard: InboundDials, wanted: dict[str, set[str]]) -> bool:
    return bool(heard.trusted) and all(addresses & heard.trusted for addresses in wanted.values())


def _greet(plain: socket.socket, address: str, context: ssl.SSLContext | None, heard: InboundDials) -> None:
    """Does the handshake as etcd would, records the result, and hangs up."""
    plain.settimeout(_HANDSHAKE_SECONDS)
    with plain:
        try:
            if context is None:
                if plain.recv(1):
                    heard.trusted.add(address)
                return
            with context.wrap_socket(plain, server_side=True) as secure:
                # With TLS 1.3 a client that refuses our certificate says so only after the handshake.
                if secure.recv(1):
                    heard.trusted.add(address)
        except ssl.SSLError as error:
            heard.refused[address] = f"TLS fails: {getattr(error, 'verify_message', '') or error.reason or error}"
        except OSError as error:
            heard.refused[address] = str(error.strerror or error)


def _server_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(str(files.cert), str(files.key))
    return context
