"""TCP ports on this machine: chosen outside the kernel's range for outgoing connections, and reserved for an owner (decision
4)."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from quorate.errors import HostError
from quorate.files import private_folder, remove_file, state_folder, state_place, write_atomic
from quorate.foreign.local_files import read_trusted
from quorate.foreign.numbers import are_digits
from quorate.foreign.resolve import SocketAddress, resolve

LOOPBACK = "127.0.0.1"
_NOT_HERE = (None, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_LOWEST = 15000
_LOCK_SECONDS = 10.0
_MOST_BYTES = 1 << 14
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Returns whether a server could listen on a port now, as etcd would: for a name, on its addresses that this host has.

    `host` is a name or an address, IPv6 without brackets, a zone id after %.
    """
    outcomes = [_try_to_bind(address) for address in resolve(host, port)]
    # A name such as localhost may have an address of a family that is disabled here.
    return None in outcomes and all(outcome in _NOT_HERE for outcome in outcomes)


def _try_to_bind(address: SocketAddress) -> int | None:
    """Returns the errno of a failed bind; None when it succeeds."""
    try:
        _bound(address).close()
    except OSError as error:
        return error.errno
    return None


def listen(host: str, port: int) -> socket.socket:
    """Listens on an address as etcd would. Raises OSError, also for a host that has no address."""
    addresses = resolve(host, port)
    if not addresses:
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    server = _bound(addresses[0])
    try:
        server.listen(16)
    except OSError:
        server.close()
        raise
    return server


def _bound(address: SocketAddress) -> socket.socket:
    """Returns a bound socket. Go listens on both families for either wildcard, and so do we: a voter may dial 0.0.0.0:2380 over
    IPv6, and a server on [::] keeps etcd from binding 0.0.0.0."""
    family, where = address.family, address.where
    both = ipaddress.ip_address(address.host).is_unspecified and socket.has_dualstack_ipv6()
    if both:
        family, where = socket.AF_INET6, ("::", where[1])
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A recently closed listener leaves connections in TIME_WAIT; servers bind over those.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        probe.bind(where)
    except OSError:
        probe.close()
        raise
    return probe


def reserve(count: int, owner: Path) -> list[int]:
    """Returns `count` free ports that no other cluster of this user has, reserved while the file `owner` exists.

    A port of the kernel's own range could be lost to an outgoing connection while its server is down.
    Raises `HostError` when too few are free, or the reservations cannot be written.
    """
    folder = _reservations()
    try:
        with _alone(folder):
            taken = {int(entry.name) for entry in folder.iterdir() if are_digits(entry.name) and _is_held(entry)}
            usable = (port for port in _candidates() if port not in taken and is_free(port))
            ports = list(islice(usable, count))
            for port in ports:
                write_atomic(folder / str(port), str(owner).encode(), mode=0o600)
    except OSError as error:
        raise HostError(
            f"cannot reserve ports in {folder}: {error.strerror}", advice="set XDG_STATE_HOME to a folder you can write to"
        ) from error
    if len(ports) < count:
        raise HostError(f"fewer than {count} free TCP ports on {LOOPBACK}")
    return ports


def owners() -> set[Path]:
    """Returns the files that exist and own a reservation of this user. Changes nothing."""
    folder = state_place() / "ports"
    named = [read_trusted(entry, _MOST_BYTES, what="the reservation") for entry in _entries(folder)]
    return {path for owner in named if owner and (path := Path(os.fsdecode(owner))).exists()}


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if are_digits(entry.name)]
    except OSError:
        return []


def _reservations() -> Path:
    return private_folder(state_folder() / "ports")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # No link is followed and nothing is truncated: root once emptied another user's file here.
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _take(lock, folder)
        yield
    finally:
        os.close(lock)


def _take(lock: int, folder: Path) -> None:
    """Acquires the lock. Others hold it for milliseconds; a paused holder must not block us for ever."""
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise HostError(
                    f"another process has held {folder / 'lock'} for {_LOCK_SECONDS:g} s",
                    state="nothing was changed",
                    advice=f"'fuser {folder / 'lock'}' names it; resume or end it, then run this command again",
                ) from None
            time.sleep(0.05)
        else:
            return


def _is_held(entry: Path) -> bool:
    """Returns whether a reservation is valid. Deletes it when its owner's file is gone."""
    owner = read_trusted(entry, _MOST_BYTES, what="the reservation") or b""
    if owner and Path(os.fsdecode(owner)).exists():
        return True
    remove_file(entry)
    return False


def _candidates() -> Iterator[int]:
    """Yields 500 ports below the ephemeral range, in random order so that parallel runs rarely try the same."""
    try:
        lowest_ephemeral = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):
        lowest_ephemeral = 32768
    highest = max(lowest_ephemeral, _LOWEST + 1000)
    yield from random.sample(range(_LOWEST, highest), 500)
