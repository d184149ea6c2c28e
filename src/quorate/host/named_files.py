"""The files that a process was given by name: in its words, in its variables, and in a configuration that these name.

Names are read as the process reads them: from its own root and its own folder, through its links and mounts. What they lead to
is told by device and inode. Compared as text, a file was missed behind a link, a relative path, two slashes or a mount.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.documents import BadDocument, Value, read_mapping
from quorate.foreign.local_files import regular
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host import proc

_BETWEEN = re.compile(r"[=,\s\"']+")
_CONFIG_FLAG = re.compile(r"--?config-file(?:=(.*))?", re.DOTALL)
_CONFIG_VARIABLE, _ITS_VARIABLES = "ETCD_CONFIG_FILE=", "ETCD_"
_MOST_BYTES, _MOST_NAMES, _MOST_LINKS = 1 << 20, 5000, 40
_OWN = ("self", "thread-self")
_TICK_SECONDS = 0.05
"""The start of a process is counted in hundredths."""


def files_named_to(pid: int) -> frozenset[str]:
    """Returns the files and folders that an etcd was given, with the links and folders on the way to them, each as
    `proc.file_id`; of a name that leads nowhere there is none. Raises `HostError` where it cannot be read what it was given."""
    # The first word is its own name.
    words = proc.words(pid, _MOST_BYTES)[1:]
    variables = [os.fsdecode(one) for one in (proc.environment(pid) or b"").split(b"\0")]
    own = [one for one in variables if one.startswith(_ITS_VARIABLES)]
    texts = [*words, *own, *(text for name in _configs(words, own) for text in _in_config(pid, name))]
    pieces = dict.fromkeys(piece for text in texts for piece in (text, text.partition("=")[2], *_BETWEEN.split(text)))
    names = [one for one in pieces if one and not one.startswith("-") and "\0" not in one]
    if len(names) > _MOST_NAMES:
        raise HostError(f"process {pid} was given {len(names)} names")
    return frozenset(one for name in names for one in _way(pid, name)[1])


def _configs(words: list[str], variables: list[str]) -> Iterator[str]:
    for number, word in enumerate(words):
        if match := _CONFIG_FLAG.fullmatch(word):
            yield match[1] if match[1] is not None else "".join(words[number + 1 : number + 2])
    yield from (one.removeprefix(_CONFIG_VARIABLE) for one in variables if one.startswith(_CONFIG_VARIABLE))


def _in_config(pid: int, name: str) -> list[str]:
    """Returns all texts of a configuration. Raises `HostError` also for one that was changed since the process began: it may
    have been started with other files."""
    path = _way(pid, name)[0] if name else None
    if path is None and proc.stat_fields(pid) is None:
        # It has ended.
        return []
    if path is None:
        raise HostError(f"{name[:200]!r}, the configuration of process {pid}, is not there any more")
    try:
        with regular(path) as file:
            status = os.fstat(file.fileno())
            texts = list(_texts(read_mapping(file.read(_MOST_BYTES + 1), name)))
    except (OSError, BadDocument) as error:
        why = error.what if isinstance(error, BadDocument) else error.strerror
        raise HostError(f"cannot read {name[:200]!r}, the configuration of process {pid}: {why}") from error
    age = proc.age(pid)
    if age is not None and max(status.st_mtime, status.st_ctime) > time.time() - age + _TICK_SECONDS:
        raise HostError(f"{name[:200]!r}, the configuration of process {pid}, was changed since that began")
    return texts


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner: Iterable[Value] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _texts(one)


def _way(pid: int, name: str) -> tuple[Path | None, list[str]]:
    """Returns a path from here to what a process finds under a name, None where it finds nothing, and the ids of all that is on
    the way: a link that goes takes what it leads to away. A link is followed by hand: the kernel would follow an absolute one
    from our root. What a reset has taken away for now is found at the place that it had."""
    root, here, ids = f"/proc/{pid}/root", f"/proc/{pid}/cwd", list[str]()
    left, links = [name], 0
    while left:
        rest = left.pop()
        if rest.startswith("/"):
            here = root
        part, _, behind = rest.lstrip("/").partition("/")
        if behind.strip("/"):
            left.append(behind.lstrip("/"))
        if not part or part == "." or (part == ".." and proc.seen_id(Path(here)) == proc.seen_id(Path(root))):
            continue
        step = _step(here, str(pid) if here == f"{root}/proc" and part in _OWN else part)
        if step is None:
            return None, []
        try:
            status = step.lstat()
            ids.append(f"{status.st_dev}:{status.st_ino}")
            if stat.S_ISLNK(status.st_mode):
                links += 1
                left.append(str(step.readlink()))
                if links > _MOST_LINKS:
                    return None, []
                continue
        except (OSError, ValueError):
            return None, []
        here = str(step)
    return Path(here), ids


def _step(here: str, part: str) -> Path | None:
    places = (f"{here}/{part}", *(f"{here}/{held}/{part}" for held in (TAKEN, JUDGED)))
    try:
        return next((Path(one) for one in places if os.path.lexists(one)), None)
    except ValueError:
        return None
