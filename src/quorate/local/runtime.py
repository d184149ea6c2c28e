"""Members as plain processes that outlive the command which started them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.etcd.runtime import Process
from quorate.files import make_folder, write_atomic
from quorate.host import etcd_binary, ports, process
from quorate.host.process import Identity
from quorate.local.command import data_argument, environment, etcd_command
from quorate.local.layout import Layout, MemberPaths
from quorate.local.state import State

_TAIL_BYTES = 32 * 1024
_KEPT_LOG_BYTES = 32 << 20


@dataclass(slots=True)
class ProcessRuntime:
    """Runs the members of one local cluster; `state` is replaced by its owner as members come and go."""

    layout: Layout
    state: State
    clock: SystemClock
    can_restart: bool = True

    def identity(self, name: str) -> Identity | None:
        """The member's running process, recorded or, when a crash lost the record, found by its data directory."""
        paths = self.layout.member(name)
        recorded = read_identity(paths.process)
        if recorded is not None and process.is_running(recorded):
            return recorded
        return process.find_by_argument(data_argument(paths))

    def process(self, name: str) -> Process:
        paths = self.layout.member(name)
        recorded = read_identity(paths.process)
        if recorded is not None and process.is_running(recorded):
            return Process("running")
        if recorded is None:
            return Process("running" if process.find_by_argument(data_argument(paths)) else "absent")
        return Process("exited", last_words(paths))

    def describe(self, name: str) -> str:
        """running, paused or stopped."""
        identity = self.identity(name)
        if identity is None:
            return "stopped"
        return "paused" if process.is_stopped(identity) else f"running (pid {identity.pid})"

    def start(self, name: str, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if self.identity(name) is not None:
            return
        member, paths = self.state.member(name), self.layout.member(name)
        for port in (member.peer_port, member.client_port):
            if not ports.is_free(port):
                raise HostError(
                    f"{name} cannot start: port {port} of {ports.LOOPBACK}, which it had, is taken by another process",
                    advice=f"free the port ('ss -ltnp sport = :{port}' names its owner), then run the same command again",
                )
        make_folder(paths.data)
        _rotate(paths.log)
        version = etcd_binary.read_version(Path(member.etcd))
        command = etcd_command(member, paths, self.state, version, initial_cluster)
        identity = process.spawn(command, output=paths.output, folder=paths.folder, environment=environment())
        write_atomic(paths.process, json.dumps(asdict(identity)).encode(), mode=0o600)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name, [(name, self.state.member(name).peer_url)])

    def stop(self, name: str) -> None:
        """End it gracefully and forget its process, so that it counts as absent and not as one that failed."""
        identity = self.identity(name)
        if identity is not None:
            process.stop(identity, self.clock)
        self.layout.member(name).process.unlink(missing_ok=True)

    def has_data(self, name: str) -> bool:
        return self.layout.member(name).has_data

    def has_leftovers(self, name: str) -> bool:
        return self.layout.member(name).folder.exists()

    def wipe(self, name: str) -> None:
        """Delete everything of the member: the engine has seen that it is no member any more."""
        remove_tree(self.layout.member(name).folder)


def remove_tree(folder: Path) -> None:
    """Delete a folder of ours; a symlink in its place is refused rather than followed."""
    if folder.is_symlink():
        raise HostError(f"{folder} is a symlink: it is not followed, nothing was deleted")
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot delete {error.filename or folder}: {error.strerror}") from error


def read_identity(path: Path) -> Identity | None:
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        return Identity(int(fields["pid"]), int(fields["started"]), str(fields["boot_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _rotate(log: Path) -> None:
    """For etcd 3.4, which does not rotate: one older file is kept."""
    if log.exists() and log.stat().st_size > _KEPT_LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def last_words(paths: MemberPaths) -> str:
    """Why the process ended, as far as its log tells: the last fatal, panic or error entry."""
    for line in [*reversed(tail(paths.log)), *reversed(tail(paths.output))]:
        words = _complaint(line)
        if words:
            return f"{words} (log: {paths.log})"
    return f"its log gives no reason (log: {paths.log})"


def _complaint(line: str) -> str:
    if line.startswith("panic: ") or "executable file" in line or "flag provided but not defined" in line:
        return line[:500]
    try:
        entry: dict[str, Any] = json.loads(line)
        if entry["level"] in ("fatal", "panic", "error"):
            return ": ".join(str(part) for part in (entry["msg"], entry.get("error")) if part)
        if "removed from the cluster" in entry["msg"]:
            return str(entry["msg"])
    except (ValueError, KeyError, TypeError):
        pass
    return ""


def tail(path: Path) -> list[str]:
    """The last lines of a log, about 32 KiB of it; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
