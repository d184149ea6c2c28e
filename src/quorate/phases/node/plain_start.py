"""Whether it is known for certain how the kubelet of this node is started.

A shell, a wrapper or another supervisor may name a folder of static pods in more ways than can be listed; each list of them had
gaps, and a member that ran from such a folder lost its keys. So it is the other way round: a start is known where a unit starts
the kubelet's own binary, with words and files that are all there to be read. Everything else is not known. It matters where a
member's key is left without its manifest: most nodes that a script starts have none.
"""

from __future__ import annotations

import posixpath

from quorate.foreign.local_files import regular
from quorate.foreign.unit_words import words_of
from quorate.phases.node.kubelet_start import ENVIRONMENTS, UNIT, settings, text_at
from quorate.phases.node.unit_files import unit_files
from quorate.tree import Tree

_HEAD_OF_COMMAND = "@-:+!|"
_HARMLESS = frozenset({"chmod", "chown", "mkdir", "modprobe", "sleep", "swapoff", "sysctl", "test", "true"})
"""What may run before it: it writes no file that holds flags."""
_ELSEWHERE = (
    *("RootDirectory", "RootImage", "RootHash", "RootEphemeral", "MountImages", "ExtensionImages", "ExtensionDirectories"),
    *("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "PassEnvironment", "JoinsNamespaceOf", "NamespacePath"),
)
"""With these it reads other files than those that are here, or gets variables that are in no file."""


def is_start_known(tree: Tree) -> bool:
    """Returns whether all that decides how the kubelet is started was read. Raises `HostError` for a file that cannot be
    read."""
    rows = [row for path in unit_files(tree, UNIT) for row in settings(text_at(tree, path))]
    commands = [value for name, value in rows if name == "ExecStart" and value]
    return bool(commands) and all(_is_kubelet(tree, one) for one in commands) and all(_is_read(tree, *row) for row in rows)


def _is_kubelet(tree: Tree, command: str) -> bool:
    """Returns whether a command starts the binary itself, and no script of its name; one that is not there starts nothing."""
    path = "".join(_words(command)[:1])
    return path.startswith("/") and posixpath.basename(path) == "kubelet" and not _is_script(tree, path)


def _words(command: str) -> list[str]:
    return words_of(command.lstrip(_HEAD_OF_COMMAND))


def _is_script(tree: Tree, path: str) -> bool:
    try:
        with regular(tree.at(path)) as file:
            return file.read(4) != b"\x7fELF"
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_read(tree: Tree, name: str, value: str) -> bool:
    match name:
        case "WorkingDirectory":
            return not value or value.removeprefix("-").startswith("/")
        case "EnvironmentFile":
            # One that is not there may be written before the next start.
            path = value.removeprefix("-")
            return not value or path in ENVIRONMENTS or ("%" not in path and _is_there(tree, path))
        case "ExecStartPre" | "ExecCondition":
            return not value or posixpath.basename("".join(_words(value)[:1])) in _HARMLESS
        case _:
            return name not in _ELSEWHERE or not value


def _is_there(tree: Tree, path: str) -> bool:
    return bool(tree.names(posixpath.dirname(path))) if any(one in path for one in "*?[") else tree.is_file(path)
