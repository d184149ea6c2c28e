"""The checks of this host before its etcd joins: certificates, data, disk, ports, version, clock, connections to the voters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from quorate.core.finding import Finding, errors_first
from quorate.core.ids import address_of, host_and_port
from quorate.core.membership import ClusterView, Member, MemberStatus
from quorate.core.versions import Version
from quorate.deadline import CORRECT_CLOCK
from quorate.errors import ConfigError, HostError
from quorate.etcd.client import peer_port
from quorate.etcd.client.endpoint import Tls, TlsFiles, load_tls
from quorate.etcd.observation import diagnose
from quorate.foreign.taking import TAKEN
from quorate.foreign.text import to_paste
from quorate.foreign.urls import parts_of
from quorate.host import disk, etcd_binary, ports
from quorate.host.etcd_identity import named
from quorate.member.data_dir import DataDir
from quorate.member.spec import MOVES_DATA, EtcdSpec, listen_url

if TYPE_CHECKING:
    from quorate.pki.certificates import Usage

_DIAL_SECONDS = 3.0
_MOST_SKEW_SECONDS = 3.0
"""etcd warns when clocks differ by more than a second; three leave room for slow answers."""
_SLOW_FSYNC_SECONDS = 0.010
"""etcd's hardware guide: the 99th percentile of WAL fsync should be below 10 ms."""


@dataclass(frozen=True, slots=True)
class Case:
    """The input of a check. `resumed`: an earlier run of ours began this join, so its files and process are expected."""

    spec: EtcdSpec
    view: ClusterView
    resumed: bool


def findings(case: Case) -> list[Finding]:
    """Returns all findings, errors first. Asks each voter's peer port, and writes a small file next to the data."""
    found = [finding for check in CHECKS for finding in check(case)]
    return errors_first(found)


def check_certificates(case: Case) -> Iterator[Finding]:
    """Checks chain, dates, names and usages. Peers dial each other with the peer certificate, so it needs both usages. etcd's
    own gateway dials with the server certificate, but works without it."""
    spec = case.spec
    yield from _certificate("peer", spec.peer, spec.peer_url, ("server", "client"))
    yield from _certificate("server", spec.server, spec.client_url, ("server",))


def _certificate(kind: str, files: TlsFiles | None, url: str, usages: tuple[Usage, ...]) -> Iterator[Finding]:
    from quorate.pki.store import problems, read_certificate

    if files is None:
        if parts_of(url).scheme == "https":
            yield Finding(f"{kind}-certificate", "error", f"{url} needs a {kind} certificate, its key and a CA")
        return
    if files.ca is None or files.cert is None or files.key is None:
        yield Finding(f"{kind}-certificate", "error", f"the {kind} certificate needs its key and a CA")
        return
    try:
        load_tls(files)
        found = problems(
            files.cert, ca=read_certificate(files.ca), names=(address_of(url),), now=datetime.now(UTC), usages=usages
        )
    except ConfigError as error:
        found = [error.what]
    for problem in found:
        yield Finding(f"{kind}-certificate", "error", problem, "create a new one, signed by the cluster's CA")


def check_data(case: Case) -> Iterator[Finding]:
    """Checks that the data directory is empty: an etcd that starts on data becomes the member that wrote the data."""
    data, doubt = case.spec.data_dir, DataDir(case.spec).doubt
    if doubt:
        yield Finding(
            "data-dir-foreign",
            "error",
            f"another user could write there: {doubt}",
            "choose a directory that only you can write to",
        )
    if data.is_symlink():
        yield Finding("data-dir", "error", f"{data} is a symlink", "pass the path of the directory itself")
    elif not case.resumed and data.exists() and (not data.is_dir() or any(data.iterdir())):
        advice = "move it away if it is not needed; a removed member's data must not be used again"
        if os.path.lexists(data / TAKEN):
            advice = f"{data / TAKEN} holds what a run that was cut off had taken away, to delete it: see whose it is; {advice}"
        holds = f": it holds {named(sorted(os.listdir(data)))}" if data.is_dir() else ""
        yield Finding("data-dir", "error", f"{data} is not empty{holds}", advice)


def check_settings(case: Case) -> Iterator[Finding]:
    """Checks that the log stays in the data directory. Where it is elsewhere, nothing tells whose data it is, and a join that
    fails could never be rolled back."""
    moved = [name for name, _ in case.spec.extra if name in MOVES_DATA]
    if not moved:
        return
    shown = ", ".join(f"--{name}" for name in moved)
    listed = case.view.by_peer_urls((case.spec.peer_url,))
    begun = ""
    if listed is not None and listed.is_learner:
        remove = to_paste("quorate", "etcd", "remove", f"{listed.id:x}")
        begun = f"; of an earlier run that had it, stop the etcd, then {remove} removes the learner"
    text = f"with {shown} its log or its data would be elsewhere: nothing could tell later whose data this is"
    leave_out = f"leave out {shown}: --data-dir says where the member is"
    yield Finding("etcd-arg", "error", text, leave_out + begun)


def check_disk(case: Case) -> Iterator[Finding]:
    folder = next(parent for parent in (case.spec.data_dir, *case.spec.data_dir.parents) if parent.is_dir())
    try:
        seconds = disk.fsync_seconds(folder)
    except HostError as error:
        yield Finding("disk", "error", error.what)
        return
    if seconds > _SLOW_FSYNC_SECONDS:
        text = f"an fsync of a small write to {folder} takes {seconds * 1000:.0f} ms; etcd's advice is below 10 ms"
        yield Finding("disk", "warning", text, "use a faster disk, or expect elections under load")


def check_ports(case: Case) -> Iterator[Finding]:
    if host_and_port(case.spec.peer_url) == host_and_port(case.spec.client_url):
        text = f"{case.spec.client_url} is to be both its peer URL and its client URL"
        yield Finding("port", "error", text, "give two ports: by default 2380 for peers, 2379 for clients")
    for url in (case.spec.peer_url, case.spec.client_url):
        parts = parts_of(listen_url(url))
        if not case.resumed and not ports.is_free(parts.port or 0, parts.host):
            advice = f"'ss -ltnp sport = :{parts.port}' shows what uses the port; or the address is not one of this host"
            yield Finding("port", "error", f"cannot listen on {listen_url(url)}", advice)


def check_version(case: Case) -> Iterator[Finding]:
    """Checks the version: etcd refuses to join a cluster of a newer minor version, and a newer joiner begins an upgrade."""
    try:
        own = etcd_binary.read_version(case.spec.program)
    except ConfigError as error:
        yield Finding("etcd", "error", error.what)
        return
    theirs = [Version.told(reply.version) for reply in case.view.replies.values() if isinstance(reply, MemberStatus)]
    if theirs and own.series < min(theirs).series:
        text = f"etcd {own} cannot join a cluster of etcd {min(theirs)}"
        yield Finding("etcd", "error", text, f"use etcd {min(theirs).major}.{min(theirs).minor} with --etcd PATH")
    elif theirs and own.series > max(theirs).series:
        yield Finding(
            "etcd", "warning", f"etcd {own} is newer than the members' etcd {max(theirs)}", "use their version, then upgrade"
        )


def check_way(case: Case) -> Iterator[Finding]:
    """Dials every voter's peer port with the peer certificate: it must be reachable, trusted both ways, of the same cluster,
    and have a clock like ours."""
    try:
        tls = case.spec.peer_tls()
    except ConfigError:
        return  # check_certificates reports it
    voters = case.view.voters
    with ThreadPoolExecutor(max(len(voters), 1)) as pool:
        for found in pool.map(partial(_dial, case.view, tls), voters):
            yield from found


def _dial(view: ClusterView, tls: Tls | None, voter: Member) -> list[Finding]:
    url = voter.peer_urls[0]
    began = time.time()
    listed = peer_port.members(url, tls, timeout=_DIAL_SECONDS)
    if listed is None:
        problem = diagnose.reach(url, tls)
        level: Literal["error", "warning"] = "error" if view.answer(voter.id) is not None else "warning"
        text = problem.why if problem else f"{url} serves no member list"
        return [Finding("dial", level, f"from here to {voter.name}: {text}", problem.advice if problem else "")]
    if listed.cluster_id != view.cluster_id:
        return [Finding("dial", "error", f"{url} answers for cluster {listed.cluster_id:x}, not {view.cluster_id:x}")]
    return _skew(voter, listed.told_at, began)


def _skew(voter: Member, told_at: float | None, began: float) -> list[Finding]:
    """Compares the clocks. The answer has whole seconds and was made between our request and now."""
    if told_at is None or began - _MOST_SKEW_SECONDS - 1 <= told_at <= time.time() + _MOST_SKEW_SECONDS:
        return []
    off = f"{abs(told_at - began):.0f} s {'ahead of' if told_at > began else 'behind'} that of this host"
    text = f"the clock of {voter.name} is {off}: leases and certificates depend on clocks"
    return [Finding("clock", "warning", text, CORRECT_CLOCK)]


CHECKS: Sequence[Callable[[Case], Iterator[Finding]]] = (
    check_certificates,
    check_data,
    check_settings,
    check_disk,
    check_ports,
    check_version,
    check_way,
)
