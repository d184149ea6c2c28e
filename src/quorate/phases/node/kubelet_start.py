"""What starts the kubelet of this node: units and their drop-ins, files of variables, scripts, and what those take in."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from quorate.errors import HostError, Refused
from quorate.foreign.unit_words import joined, words_of
from quorate.phases.base.context import KUBELET_FOLDER
from quorate.phases.base.node_files import is_masked
from quorate.tree import Tree

_ENVIRONMENTS = (
    f"{KUBELET_FOLDER}/kubeadm-flags.env",
    *(f"/etc/{one}/kubelet" for one in ("default", "sysconfig", "conf.d")),
    "/var/snap/kubelet/current/args",
)
_SCRIPTS = ("/etc/init.d/kubelet",)
_BASES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
_UNIT = "kubelet.service"
_SOURCED = re.compile(r"(?:^|[;&|(\"']|\bthen\b|\bdo\b|\bif\b|\belse\b)[ \t]*(?:\.|source)[ \t]+([^\s;&|)]+)", re.MULTILINE)
_HEAD_OF_COMMAND = "@-:+!|"
_LOOKED_AT, _MOST_BYTES = 4096, 1 << 18
_MOST_NESTED = 4

Unknown = Callable[[str], Refused]


@dataclass(slots=True)
class Start:
    """All words of what starts the kubelet, and the folders that it is started in, but for `/`."""

    words: list[str] = field(default_factory=list[str])
    folders: list[str] = field(default_factory=list[str])


def start_of(tree: Tree, unknown: Unknown) -> Start:
    """Reads them. Raises `HostError` for a file that cannot be read, and what `unknown` makes for one that cannot be found:
    it stands for settings that nobody has looked at."""
    found, environments = Start(), list(_ENVIRONMENTS)
    for path in _unit_files(tree):
        for name, value in _settings(_text(tree, path)):
            if name == "Environment":
                found.words += words_of(value)
            elif name == "ExecStart":
                found.words += _of_command(tree, value, unknown)
            elif name == "EnvironmentFile":
                environments += _environment_files(tree, value, unknown)
            elif name == "WorkingDirectory" and value.startswith("/"):
                found.folders.append(posixpath.normpath(value))
    for path in dict.fromkeys(environments):
        # For systemd before 254 the line behind a comment that ends in a backslash is part of it. It counts here all the same.
        found.words += words_of(joined(_text(tree, path)))
    for path in _SCRIPTS:
        found.words += _of_script(tree, path, unknown, _MOST_NESTED)
    return found


def _unit_files(tree: Tree) -> list[str]:
    """Returns the units and drop-ins, also those of the unit that kubelet.service is a link to."""
    names, units = [_UNIT], [f"{base}/systemd/system/{_UNIT}" for base in _BASES]
    for unit in units:
        with suppress(OSError, HostError):
            names.append((tree.at(posixpath.dirname(unit)) / _UNIT).readlink().name)
    folders = [f"{base}/systemd/system/{name}.d" for name in dict.fromkeys(names) for base in _BASES]
    # For every service; and what `systemctl set-property` and generators write.
    folders += [f"{base}/systemd/system/service.d" for base in _BASES]
    folders += [f"{base}/systemd/system.control/{name}.d" for name in dict.fromkeys(names) for base in ("/etc", "/run")]
    drop_ins = [f"{folder}/{name}" for folder in folders for name in tree.names(folder) if name.endswith(".conf")]
    return [*units, *drop_ins]


def _text(tree: Tree, path: str) -> str:
    """Returns the text of a file; empty where there is none, and for one that systemd is told to leave out. Raises
    `HostError`, also for one that no hand has written."""
    content = b"" if is_masked(tree, path) else tree.read(path) or b""
    if len(content) > _MOST_BYTES:
        raise HostError(f"{path} is too large for settings of the kubelet")
    return content.decode(errors="replace")


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in joined(text, " ").splitlines():
        name, is_set, value = line.partition("=")
        if is_set:
            yield name.strip(), value.strip()


def _of_command(tree: Tree, command: str, unknown: Unknown) -> Iterator[str]:
    """Yields the words of a start command, and of each script that it names: a shell may get it as a word, and a wrapper may
    have the kubelet's own name."""
    words = words_of(command.lstrip(_HEAD_OF_COMMAND))
    yield from words
    for word in words:
        if word.startswith("/") and tree.is_file(posixpath.normpath(word)):
            yield from _of_script(tree, posixpath.normpath(word), unknown, _MOST_NESTED)
    yield from _of_taken_in(tree, command, unknown, _MOST_NESTED)


def _of_script(tree: Tree, path: str, unknown: Unknown, deepest: int) -> Iterator[str]:
    if b"\0" in (tree.tail(path, _LOOKED_AT) or b""):
        # A program. The kubelet's own is larger than what may be read.
        return
    text = _text(tree, path)
    yield from words_of(joined(text))
    yield from _of_taken_in(tree, joined(text), unknown, deepest)


def _of_taken_in(tree: Tree, text: str, unknown: Unknown, deepest: int) -> Iterator[str]:
    """Yields the words of the files that a script takes in (`. FILE`). One that the script names by a variable is not found."""
    for match in _SOURCED.finditer(text):
        path = "".join(words_of(match[1])[:1])
        if not path.startswith("/") or "$" in path or not deepest:
            raise unknown(f"what starts it takes in {path[:80]!r}")
        yield from _of_script(tree, posixpath.normpath(path), unknown, deepest - 1)


def _environment_files(tree: Tree, value: str, unknown: Unknown) -> list[str]:
    """Returns the files of variables that a unit names, in the way of a shell; a dash allows one to be missing."""
    path = posixpath.normpath("".join(words_of(value)[:1]).removeprefix("-"))
    folder, name = posixpath.split(path)
    if any(one in folder for one in "*?[") or "%" in path:
        raise unknown(f"EnvironmentFile is {value[:80]!r}, which systemd looks up")
    if not path.startswith("/") or not any(one in path for one in "*?["):
        return [path] if path.startswith("/") else []
    return [f"{folder}/{found}" for found in tree.names(folder) if fnmatchcase(found, name)]
