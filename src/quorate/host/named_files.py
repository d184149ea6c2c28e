"""The files that a process was given by name: in its words, in its variables, and in a configuration that these name.

Names are read as the process reads them: from its own root and its own folder, through its links and mounts. Two files are the
same where device and inode are. Compared as text, a file was missed behind a link, a relative path, two slashes or a mount.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.documents import BadDocument, Value, read_documents
from quorate.foreign.local_files import regular
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host import proc
from quorate.host.mounted_from import MountedFrom

_BETWEEN = re.compile(r"[=,\s\"']+")
_CONFIG_FLAG = re.compile(r"--?config-file(?:=(.*))?", re.DOTALL)
_CONFIG_VARIABLE, _ITS_VARIABLES = "ETCD_CONFIG_FILE=", "ETCD_"
_MOST_BYTES, _MOST_NAMES, _MOST_STEPS, _LONGEST = 1 << 20, 5000, 10_000, 255
_MOST_LINKS = 40
"""No more are followed by the kernel."""
_OWN = ("self", "thread-self")
_MAGIC = ("root", "cwd", "exe")
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ESRCH)
_WRAPPER_SECONDS = 2.0
"""A script may write the configuration that it then starts etcd with: its process is the same."""


def files_named_to(pid: int) -> frozenset[str]:
    """Returns the files and folders that an etcd was given, with the links and folders on the way to them, each as
    `proc.file_id`; of a name that leads nowhere there is none. Raises `HostError` where it cannot be read what it was given."""
    # The first word is its own name.
    given = proc.words(pid, _MOST_BYTES)
    if sum(len(one) + 1 for one in given) >= _MOST_BYTES:
        raise HostError(f"process {pid} was given more words than are read")
    words = given[1:]
    variables = [os.fsdecode(one) for one in (proc.environment(pid) or b"").split(b"\0")]
    own = [one for one in variables if one.startswith(_ITS_VARIABLES)]
    texts = [*words, *own, *(text for name in _configs(words, own) for text in _in_config(pid, name))]
    pieces = dict.fromkeys(piece for text in texts for piece in (text, text.partition("=")[2], *_BETWEEN.split(text)))
    names = [one for one in pieces if one and "\0" not in one]
    if len(names) > _MOST_NAMES:
        raise HostError(f"process {pid} was given {len(names)} names")
    mounted = MountedFrom.of(pid)
    return frozenset(one for name in names for one in _ways(mounted, name).ids)


def _configs(words: list[str], variables: list[str]) -> Iterator[str]:
    """Yields the names of its configurations; etcd takes an empty one for none."""
    found: list[str] = []
    for number, word in enumerate(words):
        if match := _CONFIG_FLAG.fullmatch(word):
            found.append(match[1] if match[1] is not None else "".join(words[number + 1 : number + 2]))
    found += [one.removeprefix(_CONFIG_VARIABLE) for one in variables if one.startswith(_CONFIG_VARIABLE)]
    yield from filter(None, found)


def _in_config(pid: int, name: str) -> list[str]:
    """Returns all texts of a configuration. Raises `HostError` also for one that was changed since the process began, or that a
    link leads to which was: it may have been started with other files."""
    ways = _ways(MountedFrom.of(pid), name)
    if not ways.ends and proc.stat_fields(pid) is None:
        # It has ended.
        return []
    if not ways.ends:
        raise HostError(f"{name[:200]!r}, the configuration of process {pid}, is not there any more")
    path = ways.ends[0]
    try:
        with regular(path) as file:
            status = os.fstat(file.fileno())
            documents = read_documents(file.read(_MOST_BYTES + 1), name)
    except (OSError, BadDocument) as error:
        why = error.what if isinstance(error, BadDocument) else error.strerror
        raise HostError(f"cannot read {name[:200]!r}, the configuration of process {pid}: {why}") from error
    age, changed = proc.age(pid), max(status.st_mtime, status.st_ctime, ways.changed)
    if age is not None and changed > time.time() - age + _WRAPPER_SECONDS:
        raise HostError(f"{name[:200]!r}, the configuration of process {pid}, was changed since that began")
    return [text for one in documents for text in _texts(one)]


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner: Iterable[Value] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _texts(one)


@dataclass(slots=True)
class _Ways:
    """What a process finds under a name. `ends`: paths from here to it; `ids`: of all that is on the ways, also on those that
    lead nowhere: a link that goes takes what it leads to away; `changed`: when the newest link on them was made, in unix
    seconds."""

    ends: list[Path] = field(default_factory=list[Path])
    ids: set[str] = field(default_factory=set[str])
    changed: float = 0.0


def _ways(mounted: MountedFrom, name: str) -> _Ways:
    """Follows a name from the root and the folder of a process. A link is followed by hand: the kernel would follow an absolute
    one from our root. What a reset has taken away for now is found at the place that it had, too, whatever is there by now.
    Raises `HostError` for a name that cannot be followed to its end."""
    pid = mounted.pid
    root, found = f"/proc/{pid}/root", _Ways()
    left = [(f"/proc/{pid}/cwd", name, 0)]
    if not name.startswith("/"):
        left += [(root, f"{folder.lstrip('/')}/{name}", 0) for folder in mounted.folders]
    for _ in range(_MOST_STEPS):
        if not left:
            return found
        here, rest, links = left.pop()
        if rest.startswith("/"):
            here = root
        part, _, behind = rest.strip("/").partition("/")
        behind = behind.lstrip("/")
        if not part:
            found.ends.append(Path(here))
        elif part == ".":
            left.append((here, behind, links))
        elif part == "..":
            left.append((_above(here, root), behind, links))
        else:
            own = _own(pid, here) if part in _OWN else [part]
            for step in (f"{held}/{one}" for one in own for held in (f"{here}/{JUDGED}", f"{here}/{TAKEN}", here)):
                where = _entered(step, behind, found, mounted)
                if where is not None and (where[0] == step or links < _MOST_LINKS):
                    left.append((where[0] or here, where[1], links + (where[0] != step)))
    raise HostError(f"{name[:200]!r}, which process {pid} was given, leads through more links than are followed")


def _entered(step: str, behind: str, found: _Ways, mounted: MountedFrom) -> tuple[str, str] | None:
    """Returns where one name leads, and what is left to follow from there: itself, or, with an empty place, the target of a
    link from beside it. None where it is missing, or is too long to be that of a file. Raises `HostError` where that cannot be
    read."""
    if len(os.fsencode(step.rpartition("/")[2])) > _LONGEST:
        return None
    try:
        status = os.lstat(step)
        link = str(Path(step).readlink()) if stat.S_ISLNK(status.st_mode) else ""
    except ValueError:
        return None
    except OSError as error:
        if error.errno in _NOWHERE:
            return None
        raise HostError(f"cannot read {step[:200]!r}: {error.strerror}") from error
    found.ids |= {f"{status.st_dev}:{status.st_ino}", *mounted.ids(step)}
    if not link:
        return step, behind
    found.changed = max(found.changed, status.st_ctime)
    if not _is_magic(step):
        return "", f"{link}/{behind}"
    # The kernel follows it to what it is of, whatever name it shows.
    with suppress(OSError):
        found.ids.add(proc.file_id(Path(step)))
    return step, behind


def _is_magic(step: str) -> bool:
    """Returns whether a link is one of a process, in any mount of /proc, such as that of a container with the host's."""
    folder, _, name = step.rpartition("/")
    return (name in _MAGIC and os.path.lexists(f"{folder}/oom_score")) or folder.endswith("/fd")


def _own(pid: int, here: str) -> list[str]:
    """Returns the numbers of a process in a mount of /proc, wherever that is; what `self` is there would be this process."""
    return [one for one in proc.pids_of(pid) if os.path.lexists(f"{here}/{one}/oom_score")] or ["self"]


def _above(here: str, root: str) -> str:
    if proc.seen_id(Path(here)) == proc.seen_id(Path(root)):
        return here
    if here.endswith("/..") or Path(here).is_symlink() or here.count("/") <= root.count("/"):
        # Its own folder, whose path from here is not known.
        return f"{here}/.."
    above = here.rpartition("/")[0]
    return above.rpartition("/")[0] if above.rpartition("/")[2] in (TAKEN, JUDGED) else above
