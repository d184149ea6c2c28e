"""Judges a new member's name and peer URLs before the first change.

etcd registers nearly anything: a name that `--initial-cluster` cannot carry, a client URL as peer URL, an address that only
the new machine itself can reach. The mistake shows when the learner cannot start, or, worse, when it already has its vote.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from quorate.core.finding import Finding
from quorate.core.ids import address_of, canonical_url, host_and_port, is_loopback, urls_of
from quorate.core.membership import ClusterView, Member
from quorate.errors import ConfigError
from quorate.foreign.numbers import are_digits
from quorate.foreign.text import to_paste
from quorate.foreign.urls import parts_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_SCHEMES = frozenset({"http", "https"})
_BROADCAST = "255.255.255.255"

_Check: TypeAlias = Callable[[ClusterView, str, Sequence[str]], Iterator[Finding]]


def freeing(view: ClusterView, learners: Iterable[Member]) -> str:
    """Returns how the seats of learners that nobody makes voters are freed, with the whole commands; NAME is for the user to
    choose where the learner has none. A standby waits on purpose: what removes it is never advised without that word."""
    ways = []
    for one in learners:
        remove = to_paste("quorate", "etcd", "remove", f"{one.id:x}")
        adopt = to_paste("quorate", "etcd", "adopt", f"{one.id:x}", one.name or "NAME")
        unless = "" if view.standbys is not None else " and it is no standby of the autopilot ('quorate etcd members' shows it)"
        ways.append(
            f"{one.id:x} is a standby of the autopilot, which has no replacement without it; '{remove}' gives its seat up"
            if view.is_standby(one)
            else f"if nobody finishes the join of {one.id:x}{unless}: '{adopt}' takes it over, '{remove}' removes it"
        )
    return "; ".join(ways)


def check_new_name(name: str) -> str:
    """Returns `name` when a new member may have it; raises `ConfigError` otherwise.

    A name is legal when `--initial-cluster` (no comma, no equals sign), a path, a unit name and a terminal can carry it. Every
    name of a Kubernetes node is legal. This is for new members only: an existing one may have any name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be a member name: use letters, digits, dots, dashes and underscores, 253 at most, "
            "a letter or a digit first"
        )
    return name


def is_carried(name: str, url: str) -> bool:
    """Returns whether --initial-cluster, a variable and a terminal can carry the name and peer URL of any existing member."""
    return all(text.isprintable() and "," not in text and " " not in text for text in (name, url)) and "=" not in name


def check_new_path(text: str, what: str) -> str:
    """Returns a path that unit files, variables and flags of a new member can name; raises `ConfigError` otherwise."""
    if not text.isprintable() or text != text.strip():
        raise ConfigError(f"{what} {text[:80]!r} cannot be used: it has a line break, a control character or a blank at an end")
    return text


def new_member_findings(view: ClusterView, name: str, peer_urls: Sequence[str]) -> list[Finding]:
    """Returns why `name` must not be added at `peer_urls`. Its own row, left by an earlier run, is not a finding."""
    return [finding for check in CHECKS for finding in check(view, name, peer_urls)]


def _others(view: ClusterView, peer_urls: Sequence[str]) -> list[Member]:
    """Returns the members that have none of these peer URLs."""
    return [member for member in view.members if not urls_of(member) & set(map(canonical_url, peer_urls))]


def check_name(view: ClusterView, name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    others = _others(view, peer_urls)
    if any(member.name == name for member in view.members if member not in others):
        return
    try:
        check_new_name(name)
    except ConfigError as error:
        yield Finding("name-illegal", "error", error.what, "choose another name")
    for member in others:
        # Two rows of one name in --initial-cluster are one member with two URLs.
        if member.started and member.name == name:
            text = f"a member named {name} already exists, at {', '.join(member.peer_urls)}"
            advice = "choose another name; only a member that is gone for good may be removed first"
            yield Finding("name-taken", "error", text, advice)


def check_owner(view: ClusterView, name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Reports peer URLs that belong to another member. A row with these URLs is the new member's own when it has its name, or
    none yet. A started member of another name is not: the join would act on it (one of three was rolled back as if ours)."""
    others = _others(view, peer_urls)
    owners = [member for member in view.members if member not in others]
    said = [f"{member.name or 'an unstarted member'} ({member.id:x})" for member in owners]
    if len(owners) > 1:
        text = f"{', '.join(peer_urls)} are peer URLs of {' and of '.join(said)}"
        yield Finding("peer-url-of-two", "error", text, "give the peer URLs of one member")
    elif owners and owners[0].started and owners[0].name != name:
        text = f"{', '.join(peer_urls)} is the peer URL of {said[0]}, not of {name}"
        yield Finding("peer-url-taken", "error", text, f"give the peer URL that {name} will have")
    wanted = {host_and_port(url) for url in peer_urls}
    for member in others:
        # By the other scheme: two servers never share a port.
        shared = [url for url in member.peer_urls if host_and_port(url) in wanted]
        if shared and member.name != name:
            text = f"{shared[0]} is the peer URL of {member.name or 'an unstarted member'} ({member.id:x})"
            yield Finding("peer-url-taken", "error", text, f"give the peer URL that {name} will have")


def check_addresses(_view: ClusterView, _name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Reports addresses at which nothing can be reached. etcd registers each of them."""
    for url in peer_urls:
        host = address_of(url)
        if host_and_port(url).rpartition(":")[2] == "0":
            text = f"{url} has the port 0: etcd would listen at a port that no other member knows"
            yield Finding("peer-url-port", "error", text, "give the port (by default 2380)")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            # No domain name ends in a number. Go takes such a host for a name, which nobody can resolve.
            if are_digits(host.rstrip(".").rpartition(".")[2]):
                text = f"{url}: {host} is no IPv4 address, and no name ends in a number"
                yield Finding("peer-url-address", "error", text, "correct the address")
            continue
        real = (address.ipv4_mapped if address.version == 6 else None) or address
        if real.is_unspecified:
            text = f"{url} is an address to listen on: no other member can reach it"
            yield Finding("peer-url-unspecified", "error", text, "give an address or a name of this machine")
        elif real.is_multicast or str(real) == _BROADCAST:
            text = f"{url} is an address of many machines at once: no member can be reached there"
            yield Finding("peer-url-address", "error", text, "give the address of one machine")
        # An IPv4 link-local address needs no zone. In IPv6 every interface has the same link-local network.
        elif address.version == 6 and address.is_link_local and not address.scope_id:
            text = f"{url} is a link-local address without its interface"
            yield Finding("peer-url-link-local", "error", text, "give another address, or its interface: fe80::1%25eth0")


def check_client_urls(view: ClusterView, _name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Reports another member's client URL: etcd registers it without complaint, and peers dial it for ever without success."""
    for member in _others(view, peer_urls):
        taken = set(map(host_and_port, member.client_urls))
        for url in peer_urls:
            if host_and_port(url) in taken:
                text = f"{url} is a client URL of {member.name or f'{member.id:x}'}"
                yield Finding("peer-url-is-client-url", "error", text, "give the peer URL (by default port 2380)")


def check_rows(view: ClusterView, _name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Reports a member that --initial-cluster of the new process cannot name. Anyone who may update a member can set these."""
    for member in _others(view, peer_urls):
        if not all(is_carried(member.name, url) for url in member.peer_urls):
            text = f"the member {member.id:x} has a name or a peer URL that --initial-cluster cannot carry: {member.name!r}"
            remove = to_paste("quorate", "etcd", "remove", f"{member.id:x}")
            advice = f"restart it under another name, correct its URL, or remove it: {remove}"
            yield Finding("member-not-carried", "error", text, advice)


def check_scheme(view: ClusterView, _name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Reports a scheme unlike the others': peers have one TLS configuration for all dials, so members with certificates refuse
    one that has none, and the reverse."""
    theirs = {_scheme(url) for member in _others(view, peer_urls) for url in member.peer_urls} & _SCHEMES
    for url in peer_urls:
        if len(theirs) == 1 and _scheme(url) in _SCHEMES - theirs:
            (other,) = theirs
            yield Finding("peer-url-scheme", "error", f"{url}: the members' peer URLs are {other}", f"use {other}://")


def _scheme(url: str) -> str:
    return parts_of(url).scheme


def check_loopback(view: ClusterView, _name: str, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Reports loopback peer URLs: 127.0.0.1 cannot be reached from other machines; one such voter stops a cluster of one
    (k0s 7628)."""
    rows = [(member, url) for member in _others(view, peer_urls) for url in member.peer_urls]
    theirs = [url for _, url in rows]
    elsewhere = [url for url in peer_urls if not is_loopback(url)]
    for url in filter(is_loopback, peer_urls):
        if not all(map(is_loopback, theirs)):
            yield Finding("loopback-new", "error", f"{url} names this machine itself; the other members run elsewhere")
    for member, url in [row for row in rows if elsewhere and is_loopback(row[1])]:
        # The id is what `member update` takes, and one member may have several such URLs.
        update = (
            f"etcdctl member update {member.id:x} --peer-urls={_scheme(url)}://HOST:{host_and_port(url).rpartition(':')[2]}"
        )
        advice = f"first give that member a peer URL that others can reach: {update}"
        yield Finding("loopback-old", "error", f"a member's peer URL is {url}: the new one could not reach it", advice)


CHECKS: tuple[_Check, ...] = (
    check_name,
    check_owner,
    check_addresses,
    check_client_urls,
    check_rows,
    check_scheme,
    check_loopback,
)
