"""What starts the kubelet of this node: units and their drop-ins, files of variables, scripts, and what those take in."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from quorate.errors import HostError
from quorate.foreign.unit_words import joined, words_of
from quorate.phases.base.context import KUBELET_FOLDER
from quorate.phases.base.node_files import is_masked
from quorate.phases.node.kubelet_flags import specified
from quorate.phases.node.start_scripts import Scripts, Unknown
from quorate.phases.node.unit_files import unit_files
from quorate.tree import Tree

ENVIRONMENTS = (
    f"{KUBELET_FOLDER}/kubeadm-flags.env",
    *(f"/etc/{one}/kubelet" for one in ("default", "sysconfig", "conf.d")),
    "/var/snap/kubelet/current/args",
)
_SCRIPTS = ("/etc/init.d/kubelet",)
UNIT = "kubelet.service"
_MOST_BYTES = 1 << 18


@dataclass(slots=True)
class Start:
    """All words of what starts the kubelet, and the folders that it is started in, but for `/`."""

    words: list[str] = field(default_factory=list[str])
    folders: list[str] = field(default_factory=list[str])


def start_of(tree: Tree, unknown: Unknown) -> Start:
    """Reads them. Raises `HostError` for a file that cannot be read, and what `unknown` makes for one that cannot be found:
    it stands for settings that nobody has looked at."""
    found, environments, commands = Start(), list(ENVIRONMENTS), list[str]()
    for path in unit_files(tree, UNIT):
        for name, value in settings(text_at(tree, path)):
            if name in ("Environment", "DefaultEnvironment", "ManagerEnvironment"):
                found.words += words_of(value)
            elif name == "ExecStart":
                commands.append(value)
            elif name == "EnvironmentFile":
                environments += _environment_files(tree, value, unknown)
            elif name == "WorkingDirectory" and value.removeprefix("-").startswith("/"):
                found.folders.append(posixpath.normpath(value.removeprefix("-")))
    for path in dict.fromkeys(environments):
        # For systemd before 254 the line behind a comment that ends in a backslash is part of it. It counts here all the same.
        found.words += words_of(joined(text_at(tree, path)))
    scripts = Scripts(tree, tuple(found.folders), unknown)
    for command in commands:
        found.words += scripts.of_command(command)
    for path in _SCRIPTS:
        found.words += scripts.of_file(path)
    return found


def text_at(tree: Tree, path: str) -> str:
    """Returns the text of a file; empty where there is none, and for one that systemd is told to leave out. Raises
    `HostError`, also for one that no hand has written."""
    content = b"" if is_masked(tree, path) else tree.read(path) or b""
    if len(content) > _MOST_BYTES or b"\0" in content:
        raise HostError(f"{path} is too large for settings of the kubelet, or no text")
    return content.decode(errors="replace")


def settings(text: str) -> Iterator[tuple[str, str]]:
    """Yields what the lines of a unit set."""
    for line in joined(text, " ").split("\n"):
        name, is_set, value = line.partition("=")
        if is_set:
            yield name.strip(), value.strip()


def _environment_files(tree: Tree, value: str, unknown: Unknown) -> list[str]:
    """Returns the files of variables that a unit names, in the way of a shell; a dash allows one to be missing."""
    # All of it is the path: neither blanks nor quotes end it.
    path = posixpath.normpath(specified(value.removeprefix("-")))
    folder, name = posixpath.split(path)
    if any(one in folder for one in "*?[") or "%" in path:
        raise unknown(f"EnvironmentFile is {value[:80]!r}, which systemd looks up")
    if not path.startswith("/") or not any(one in path for one in "*?["):
        return [path] if path.startswith("/") else []
    return [f"{folder}/{found}" for found in tree.names(folder) if fnmatchcase(found, name.replace("[^", "[!"))]
