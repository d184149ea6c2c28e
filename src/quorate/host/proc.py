"""Reads /proc, where a file may vanish or be unreadable at any time: each function then returns None or nothing."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from quorate.errors import HostError
from quorate.foreign.numbers import are_digits

_T = TypeVar("_T")
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of ours, not of the process. To take them for "it does not run" would start a second etcd on the same data."""


def _seen(read: Callable[[], _T], but: type[OSError] | tuple[()] = ()) -> _T | None:
    """Returns what is read; None where that fails, `but` for an error that the caller tells apart."""
    try:
        return read()
    except but:
        raise
    except OSError as error:
        if error.errno in _OURS:
            raise HostError(f"cannot read /proc: {error.strerror}") from error
        return None


def pids() -> Iterator[int]:
    """Yields the ids of the processes that are visible here."""
    return (int(name) for name in _seen(lambda: os.listdir("/proc")) or () if are_digits(name))


def stat_fields(pid: int) -> list[str] | None:
    """Returns the fields of /proc/PID/stat from the third (the state) on."""
    return _stat_fields(Path(f"/proc/{pid}/stat"))


def _stat_fields(path: Path) -> list[str] | None:
    # The command name may hold blanks and parentheses: fields are counted after its last ")".
    text = _seen(lambda: path.read_text(errors="replace"))
    fields = text.rpartition(")")[2].split() if text else []
    return fields if len(fields) >= 20 else None


def threads(pid: int) -> int:
    """Returns how many threads of a process still exist; 0 when there is no such process."""
    return len(_seen(lambda: os.listdir(f"/proc/{pid}/task")) or ())


def thread_states(pid: int) -> list[str]:
    """Returns the state letter of each thread that still exists."""
    names = _seen(lambda: os.listdir(f"/proc/{pid}/task")) or ()
    found = (_stat_fields(Path(f"/proc/{pid}/task/{name}/stat")) for name in names)
    return [fields[0] for fields in found if fields]


def mount_namespace(pid: int) -> str | None:
    """Returns the id of a process's mount namespace, such as `mnt:[4026531841]`."""
    return _seen(lambda: str(Path(f"/proc/{pid}/ns/mnt").readlink()))


_FIRST_PID_NAMESPACE = "pid:[4026531836]"
_INITS = frozenset({"systemd", "init", "openrc-init"})
"""What runs a whole machine in a container, such as one of LXC or kind. Others, such as tini and s6, run one service, too."""


def sees_whole_machine() -> bool:
    """Returns whether the processes that are visible here are those of a machine: of a host, or of a container that has an init
    of its own. In any other one the host's programs are not seen, and its files may be; nor are they where the mount of /proc
    hides those of others."""
    if _hides_others():
        return False
    if pid_namespace() == _FIRST_PID_NAMESPACE:
        return True
    return (_seen(lambda: Path("/proc/1/comm").read_text(errors="replace")) or "").strip() in _INITS


def _hides_others() -> bool:
    """Returns whether /proc shows us no processes but those that we may trace: hidepid=2 and 4."""
    lines = (_seen(lambda: Path("/proc/self/mountinfo").read_text(errors="replace")) or "").splitlines()
    # Of several at one place the last one shows.
    options = next((row.rpartition(" - ")[2].split(" ")[-1] for row in lines[::-1] if row.split(" ")[4:5] == ["/proc"]), "")
    values = dict(option.partition("=")[::2] for option in options.split(","))
    hidepid = values.get("hidepid", "")
    in_group = hidepid in ("2", "invisible") and int(values.get("gid", "0")) in (*os.getgroups(), os.getegid())
    return hidepid in ("2", "invisible", "4", "ptraceable") and not in_group and not _may_trace()


_CAP_SYS_PTRACE = 19


def _may_trace() -> bool:
    rows = (_seen(lambda: Path("/proc/self/status").read_text(errors="replace")) or "").splitlines()
    held = next((row.split()[1] for row in rows if row.startswith("CapEff:")), "0")
    return bool(int(held, 16) >> _CAP_SYS_PTRACE & 1)


def pid_namespace() -> str | None:
    """Returns the id of the namespace in which our pids count, such as `pid:[4026531836]`."""
    return _seen(lambda: str(Path("/proc/self/ns/pid").readlink()))


def executable(pid: int) -> str | None:
    """Returns the file that a process executes, as `file_id`. A deleted file keeps its id."""
    return _seen(lambda: file_id(Path(f"/proc/{pid}/exe")))


def root(pid: int) -> str | None:
    """Returns a process's root directory, as `file_id`."""
    return _seen(lambda: file_id(Path(f"/proc/{pid}/root")))


def real_uid(pid: int) -> int | None:
    """Returns the real user id. The owner of /proc/PID would not do: it is root for a process that may not be dumped."""
    text = _seen(lambda: Path(f"/proc/{pid}/status").read_text(errors="replace")) or ""
    return next((int(line.split()[1]) for line in text.split("\n") if line.startswith("Uid:")), None)


def environment(pid: int) -> bytes | None:
    """Returns the NAME=VALUE strings that a process was started with, each followed by a NUL."""
    return _seen(lambda: Path(f"/proc/{pid}/environ").read_bytes())


def command_line(pid: int, most_bytes: int) -> list[str]:
    """Returns the words that a process was started with, as text, without empty ones; none of a thread of the kernel."""
    return [word.decode(errors="replace") for word in _words(pid, most_bytes) if word]


def words(pid: int, most_bytes: int) -> list[str]:
    """Returns as `command_line`, also empty words, and with bytes that are no text as Python names files by them."""
    return [os.fsdecode(word) for word in _words(pid, most_bytes)]


def are_words_hidden(pid: int) -> bool:
    """Returns whether we may not even read what a process was started with, as with hidepid."""
    try:
        _read_words(pid, 1)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _words(pid: int, most_bytes: int) -> list[bytes]:
    content = _seen(lambda: _read_words(pid, most_bytes)) or b""
    return content.removesuffix(b"\0").split(b"\0") if content else []


def _read_words(pid: int, most_bytes: int) -> bytes:
    with Path(f"/proc/{pid}/cmdline").open("rb") as file:
        return file.read(most_bytes)


def pids_of(pid: int) -> list[str]:
    """Returns the numbers of a process, here and in each namespace of pids in which it is: in its own /proc it has its own."""
    content = _seen(lambda: Path(f"/proc/{pid}/status").read_bytes()) or b""
    row = next((line for line in content.splitlines() if line.startswith(b"NSpid:")), b"")
    return list(dict.fromkeys([str(pid), *row.decode(errors="replace").split()[1:]]))


def working_folder(pid: int) -> str | None:
    """Returns the path of the folder that a process runs in."""
    return _seen(lambda: str(Path(f"/proc/{pid}/cwd").readlink()))


def age(pid: int) -> float | None:
    """Returns how many seconds ago a process was forked."""
    fields = stat_fields(pid)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK") if fields else None


def seen_id(path: Path) -> str | None:
    """Returns as `file_id`; None where the file has vanished."""
    return _seen(lambda: file_id(path))


def file_id(path: Path) -> str:
    """Returns DEVICE:INODE of the file that `path` leads to. A path may name other files in other namespaces, and a copy has
    another inode. Raises OSError."""
    status = path.stat()
    return f"{status.st_dev}:{status.st_ino}"


def network_namespace(pid: int) -> str | None:
    """Returns the id of a process's network namespace, such as `net:[4026531840]`."""
    return _seen(lambda: str(Path(f"/proc/{pid}/ns/net").readlink()))


def cgroups(pid: int) -> str:
    """Returns /proc/PID/cgroup: the groups that a process is in, one a line."""
    return _seen(lambda: Path(f"/proc/{pid}/cgroup").read_text(errors="replace")) or ""


def written_files(pid: int) -> list[tuple[str, Path]] | None:
    """Returns the files that a process has open for writing: each by the path that it has for that process, empty where that is
    too long to be read, and by one that leads to it from here. None where we may not see them: root may not without
    CAP_SYS_PTRACE. A process that has ended, or a thread of the kernel, has none."""
    try:
        return _seen(lambda: list(_written(pid)), but=PermissionError) or []
    except PermissionError:
        return None if command_line(pid, 1) or are_words_hidden(pid) else []


def _written(pid: int) -> Iterator[tuple[str, Path]]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        here = Path(f"/proc/{pid}/fd/{name}")
        try:
            # The mode of the link says how the file was opened.
            if here.lstat().st_mode & stat.S_IWUSR:
                yield str(here.readlink()), here
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                yield "", here
            elif error.errno not in (errno.ENOENT, errno.ESRCH):
                raise
