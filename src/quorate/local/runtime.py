"""Members of a local cluster as plain processes: their files, their command line, and the log that 3.4 does not rotate."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.core import versions
from quorate.core.versions import Version
from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.etcd.client.endpoint import TlsFiles
from quorate.files import make_folder, remove_if_empty, remove_tree
from quorate.foreign.trust import distrust_way
from quorate.host import etcd_binary, ports, process
from quorate.host.daemon import Daemon
from quorate.host.etcd_identity import named
from quorate.host.member_data import has_leftovers, of_member, refuse_taken, take_data
from quorate.local.layout import Layout, MemberPaths
from quorate.local.state import LocalMember, State
from quorate.member.process import PlainProcess
from quorate.member.spec import EtcdSpec, flags, settings
from quorate.report import Notice, Report, silent

REMOVED = "removed"
_KEPT_LOG_BYTES = 32 << 20
_ROTATION = {"maxsize": 32, "maxage": 0, "maxbackups": 2, "localtime": False, "compress": False}
"""Megabytes and files: at most about 100 MB of log a member."""


def process_of(layout: Layout, state: State, name: str, clock: SystemClock, report: Report = silent) -> PlainProcess:
    """Returns the runtime of the member `name`; raises `ConfigError` when there is none of that name."""
    member, paths = state.member(name), layout.member(name)

    def command(rows: Sequence[tuple[str, str]]) -> list[str]:
        version = etcd_binary.read_version(Path(member.etcd))
        return [member.etcd, *flags(settings(spec_of(member, paths, state, version), rows))]

    files = LocalFiles(member, layout, report)
    return PlainProcess(name, member.peer_url, paths.data, daemon_of(paths), files, command, clock)


def daemon_of(paths: MemberPaths) -> Daemon:
    """Returns a member's process, by its files."""
    return Daemon(paths.folder, paths.process, paths.output, paths.log)


def describe(daemon: Daemon) -> str:
    """Returns "running" with its pid, "paused", "stopped", or "removed" for one that ended because it was removed from the
    cluster; "unknown" where its record cannot be read."""
    try:
        identity = daemon.identity()
    except HostError as error:
        return f"unknown: {error.what}"
    if identity is None:
        return REMOVED if daemon.ended_by_removal() else "stopped"
    return "paused" if is_paused(daemon) else f"running (pid {identity.pid})"


def is_paused(daemon: Daemon) -> bool:
    """Returns whether the process runs, and is stopped by a signal."""
    identity = daemon.identity()
    return identity is not None and process.is_stopped(identity)


def spec_of(member: LocalMember, paths: MemberPaths, state: State, version: Version) -> EtcdSpec:
    """Returns the spec of the member's etcd. etcd ignores every `--initial-…` flag once the data directory holds a WAL."""
    pki = paths.pki
    extra = [("initial-cluster-token", state.token), ("log-outputs", str(paths.log))]
    if versions.logs_with_rotation(version):
        extra += [("enable-log-rotation", "true"), ("log-rotation-config-json", json.dumps(_ROTATION))]
    if versions.has_max_learners(version):
        extra.append(("max-learners", str(state.max_learners)))
    return EtcdSpec(
        member.name,
        Path(member.etcd),
        paths.data,
        member.peer_url,
        member.client_url,
        TlsFiles(pki / "ca.crt", pki / "server.crt", pki / "server.key"),
        TlsFiles(pki / "ca.crt", pki / "peer.crt", pki / "peer.key"),
        tuple(extra),
        begins=member.phase == "first",
    )


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """The folder of one member: data, certificates, logs."""

    member: LocalMember
    layout: Layout
    report: Report = silent

    @property
    def is_begun(self) -> bool:
        paths = self.layout.member(self.member.name)
        return has_leftovers(paths.data) or any(map(os.path.lexists, paths.made))

    def prepare(self) -> None:
        self._refuse_taken_ports()
        paths = self.layout.member(self.member.name)
        refuse_taken(paths.data)
        make_folder(paths.data)
        _rotate(paths.log)
        self._refuse_doubtful()

    def give_back(self, owner: int | None) -> None:
        """Deletes all files of the member: the engine has seen that it is no longer a member. What others have put into its
        folder stays."""
        paths = self.layout.member(self.member.name)
        take_data(paths.data, of_member(owner))
        for path in paths.made:
            remove_tree(path)
        for folder in (paths.data, paths.folder):
            remove_if_empty(folder)
        if paths.folder.exists():
            left = [str(path.relative_to(paths.folder)) for one in (paths.folder, paths.data) for path in _in(one)]
            names = named(sorted(name for name in left if name != paths.data.name))
            self.report(Notice(f"{paths.folder} also holds {names}: it was left as it is", "warning"))

    def _refuse_taken_ports(self) -> None:
        name = self.member.name
        for port in (self.member.peer_port, self.member.client_port):
            if not ports.is_free(port):
                raise HostError(
                    f"{name} cannot start: its port {port} of {ports.LOOPBACK} is taken by another process",
                    advice=f"free the port ('ss -ltnp sport = :{port}' names its owner), then run the same command again",
                )

    def _refuse_doubtful(self) -> None:
        """Raises `HostError` when another user could have put the program there that the state file names."""
        program = Path(self.member.etcd)
        doubt = distrust_way(program)
        if doubt:
            raise HostError(
                f"{program} is not trusted and was not run: {doubt}",
                state="nothing was started",
                advice=f"check this program, and who wrote {self.layout.state}; or pass another etcd with --etcd",
            )


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _rotate(log: Path) -> None:
    """Rotates the log for etcd 3.4, which does not; one older file is kept."""
    if log.exists() and log.stat().st_size > _KEPT_LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
