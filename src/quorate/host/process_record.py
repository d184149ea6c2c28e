"""Records a process of ours twice: before it is spawned, with a token for its environment, and after, with its identity.

A command line does not show who started a process: a container's etcd may have the same --data-dir, which is another
directory there. So a process is ours only by a record that we wrote, and by what no other process has: the start time of its
pid, or, when we were killed between the two writes, the token in its environment.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.files import write_atomic
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.local_files import read_trusted
from quorate.foreign.values import integer_of, is_newer, mapping_of, text_of
from quorate.host import proc, process
from quorate.host.process import Identity

VARIABLE = "QUORATE_PROCESS"
_EXEC_SECONDS = 1.0
_POLL_SECONDS = 0.01
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Intent:
    """What is known about a process before it is spawned. `root` and `executable` are DEVICE:INODE; `executable` is empty for a
    script, whose process may execute anything."""

    token: str
    program: str
    executable: str
    mount_ns: str
    root: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A record of a process. `identity`: None when we were killed before the second write; the process may run or not.
    `intent`: None in records of version 0.1."""

    intent: Intent | None
    identity: Identity | None

    def find(self) -> Identity | None:
        """Returns the process; None when it does not run."""
        if self.identity is not None:
            return self.identity if process.is_running(self.identity) else None
        return _find(self.intent) if self.intent else None


def begin(path: Path, command: str, environment: Mapping[str, str]) -> Intent:
    """Records that `command` is about to be spawned. The caller sets `VARIABLE` to the token in its environment. Raises
    `HostError`."""
    program = process.program_file(command, environment)
    try:
        executable = "" if process.is_script(program) else proc.file_id(program)
    except OSError as error:
        raise HostError(f"cannot start {command}: {error.strerror}") from error
    us = os.getpid()
    seen = proc.mount_namespace(us) or "", proc.root(us) or ""
    intent = Intent(secrets.token_hex(16), str(program), executable, *seen, process.boot_id())
    _write(path, intent, None)
    return intent


def complete(path: Path, intent: Intent, identity: Identity) -> None:
    """Records the identity of the process that was spawned. Raises `HostError`: it can then still be found by its token."""
    _write(path, intent, identity)


def _write(path: Path, intent: Intent, identity: Identity | None) -> None:
    content = {"format": _FORMAT, "intent": asdict(intent), "folder": _folder(path), **(asdict(identity) if identity else {})}
    write_atomic(path, json.dumps(content).encode(), mode=0o600)


def _folder(path: Path) -> str:
    try:
        return proc.file_id(path.parent)
    except OSError as error:
        raise HostError(f"cannot look at {path.parent}: {error.strerror}") from error


def read(path: Path) -> ProcessRecord | None:
    """Returns the record; None when there is none, or one of another folder whose process does not run.

    Raises `HostError` when it cannot be read, when another user could have written it, and when it is of another folder and
    its process runs: this folder is a copy, or was put back. To take that for "nothing runs" would start a second etcd, delete
    the data of a running one, or take its silence for its death: a voter that hung was removed without a watch.
    """
    content = read_trusted(path, RECORD.size, what="the process record")
    if content is None:
        return None
    try:
        fields = read_object(content, "the process record", RECORD)
        if is_newer(fields, _FORMAT):
            raise HostError(
                f"{path} was written by a newer quorate: it is unknown whether its process runs",
                state="nothing was changed",
                advice="use the quorate version that started the process",
            )
        intent = (
            Intent(**{name: text_of(value) for name, value in mapping_of(fields["intent"]).items()})
            if "intent" in fields
            else None
        )
        identity = _identity(fields) if "pid" in fields else None
    except (BadDocument, ValueError, KeyError, TypeError):
        raise _unknown(path, "cannot be read") from None
    if intent is None and identity is None:
        raise _unknown(path, "names no process")
    found = ProcessRecord(intent, identity)
    if "folder" not in fields or fields["folder"] == _folder(path):
        return found
    running = found.find()
    if running is not None:
        # Stopping the copy's members would stop the original's.
        raise _unknown(path, f"is of another directory, which this is a copy of, and its process ({running.pid}) runs")
    return None


def _unknown(path: Path, why: str) -> HostError:
    return HostError(
        f"{path} {why}: it is unknown whether the process of this directory runs",
        state="nothing was changed",
        advice=f"see what 'pgrep -af {path.parent.name}' shows, also of a directory that this is a copy of; when none of its "
        "processes runs, delete that file",
    )


def _identity(fields: Mapping[str, object]) -> Identity:
    pid = integer_of(fields["pid"])
    if not 0 < pid < 2**31:
        raise ValueError("not a process id")
    changing = (text_of(fields.get(name)) for name in ("mount_ns", "executable"))
    return Identity(pid, integer_of(fields["started"], -1), text_of(fields["boot_id"]), *changing)


def _find(intent: Intent) -> Identity | None:
    """Returns the running process that has the token, when everything else in the record matches too."""
    if intent.boot_id != process.boot_id():
        return None
    end = time.monotonic() + _EXEC_SECONDS
    while True:
        for pid in proc.pids():
            identity = process.identify(pid) if _is_meant(pid, intent) else None
            # Another process may have reused the pid between two reads.
            if identity is not None and _is_meant(pid, intent) and process.is_running(identity):
                return identity if intent.executable else process.without_what_changes(identity)
        if time.monotonic() > end or not any(map(_may_not_have_executed_yet, proc.pids())):
            return None
        time.sleep(_POLL_SECONDS)


def _may_not_have_executed_yet(pid: int) -> bool:
    """Returns whether a process was forked a moment ago: it is still a copy of us, or has no environment yet.

    The kernel resumes the parent before `exec` is complete. If the parent is killed then, the next command looks for a process
    that has no token yet, and would start a second etcd.
    """
    age = proc.age(pid)
    if age is None or age > _EXEC_SECONDS or pid == os.getpid() or proc.real_uid(pid) != os.getuid():
        return False
    return proc.environment(pid) == b"" or proc.executable(pid) == proc.executable(os.getpid())


def _is_meant(pid: int, intent: Intent) -> bool:
    """Returns whether a process is the recorded one. Its children inherit the token, so it must also lead a session, as `spawn`
    makes it do.

    Its mount namespace and root are those of the command that spawned it, not ours: every `ip netns exec` makes a new mount
    namespace.
    """
    fields = proc.stat_fields(pid)
    return (
        fields is not None
        and fields[3] == str(pid)
        and proc.real_uid(pid) == os.getuid()
        and proc.mount_namespace(pid) == intent.mount_ns
        and proc.root(pid) == intent.root
        and (not intent.executable or proc.executable(pid) == intent.executable)
        and f"{VARIABLE}={intent.token}".encode() in (proc.environment(pid) or b"").split(b"\0")
    )
