"""Whether it is known for certain how the kubelet of this node is started.

A shell, a wrapper or another supervisor may name a folder of static pods in more ways than can be listed; each list of them had
gaps, and a member that ran from such a folder lost its keys. So it is the other way round: a start is known where a unit starts
the kubelet's own binary, with words and files that are all there to be read. Everything else is not known. It matters where a
member's key is left without its manifest: most nodes that a script starts have none.
"""

from __future__ import annotations

import posixpath

from quorate.errors import HostError
from quorate.foreign.local_files import regular
from quorate.foreign.unit_words import words_of
from quorate.phases.base.node_files import is_masked, real_path
from quorate.phases.node.kubelet_start import ENVIRONMENTS, UNIT, settings, text_at
from quorate.phases.node.unit_files import drop_ins_in_force, in_force, is_enabled, unit_files
from quorate.tree import Tree

_HEAD_OF_COMMAND = "@-:+!|"
_HARMLESS = frozenset({"chmod", "chown", "mkdir", "modprobe", "sleep", "swapoff", "sysctl", "test", "true"})
_SYSTEMS = ("", "/bin", "/sbin", "/usr/bin", "/usr/sbin")
"""What may run before it: it writes no file that holds flags."""
_IN_MEMORY = ("/run/", "/var/run/", "/tmp/", "/dev/")  # noqa: S108
_OTHERS = (
    *("/etc/init.d/kubelet", "/etc/init/kubelet.conf", "/etc/sv/kubelet", "/etc/service/kubelet", "/service/kubelet"),
    *("/etc/runit/runsvdir/current/kubelet", "/etc/s6/sv/kubelet", "/etc/s6-overlay/s6-rc.d/kubelet", "/etc/dinit.d/kubelet"),
)
"""Where other supervisors than systemd have a service of that name."""
_ELSEWHERE = (
    *("RootDirectory", "RootImage", "RootHash", "RootEphemeral", "MountImages", "ExtensionImages", "ExtensionDirectories"),
    *("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "PassEnvironment", "PAMName", "JoinsNamespaceOf"),
)
"""With these it reads other files than those that are here, or gets variables that are in no file."""


def is_start_known(tree: Tree) -> bool:
    """Returns whether all that decides how the kubelet is started was read. Raises `HostError` for a file that cannot be
    read."""
    unit = in_force(tree, UNIT)
    if not unit or _is_switched_off(tree, unit) or not is_enabled(tree, UNIT):
        # It is started by something else, whatever lies there.
        return False
    if any(tree.mode(path) is not None for path in _OTHERS):
        return False
    rows = [(path, row) for path in unit_files(tree, UNIT) for row in settings(text_at(tree, path))]
    # The last of a file: an empty one takes back all that were before it.
    last = {path: value for path, (name, value) in rows if name == "ExecStart"}
    if not all(last.values()):
        return False
    # What is hidden by a file of the same name starts nothing.
    is_started = not last.keys().isdisjoint((unit, *drop_ins_in_force(tree, UNIT)))
    commands = [value for _, (name, value) in rows if name == "ExecStart" and value]
    return is_started and all(_is_kubelet(tree, one) for one in commands) and all(_is_read(tree, *row) for _, row in rows)


def _is_switched_off(tree: Tree, unit: str) -> bool:
    """Returns whether a unit is a link to /dev/null, or an empty file, which is the same."""
    return is_masked(tree, unit) or not tree.read(unit)


def _is_kubelet(tree: Tree, command: str) -> bool:
    """Returns whether a command starts the binary itself, and nothing else of its name: no script, no link to another program.
    One that is not there now may be there at the next start, and be anything."""
    words = _words(command)
    path = "".join(words[:1])
    is_one = ";" not in words and path.startswith("/") and posixpath.basename(path) == "kubelet"
    return is_one and _is_its_binary(tree, path)


def _words(command: str) -> list[str]:
    return words_of(command.lstrip(_HEAD_OF_COMMAND))


def _is_its_binary(tree: Tree, path: str) -> bool:
    try:
        real = real_path(tree, path)
        with regular(real) as file:
            return real.name.startswith("kubelet") and file.read(4) == b"\x7fELF"
    except (OSError, HostError):
        return False


def _is_read(tree: Tree, name: str, value: str) -> bool:
    match name:
        case "WorkingDirectory":
            return not value or value.removeprefix("-").startswith("/")
        case "EnvironmentFile":
            # One that is not there may be written before the next start.
            path = value.removeprefix("-")
            return not value or path in ENVIRONMENTS or ("%" not in path and _is_there(tree, path))
        case "ExecStartPre" | "ExecStartPost":
            words = _words(value)
            return not words or (_is_harmless(words[0]) and ";" not in words)
        case _:
            # With a condition it may not be started at all, and something else be.
            is_conditional = name.startswith(("Condition", "Assert", "ExecCondition"))
            return (name not in _ELSEWHERE and not is_conditional) or not value


def _is_harmless(program: str) -> bool:
    folder, name = posixpath.split(program)
    return name in _HARMLESS and folder in _SYSTEMS


def _is_there(tree: Tree, path: str) -> bool:
    # What a pattern finds may be another file at the next start, and what is in memory is written anew at each boot.
    is_lasting = not posixpath.normpath(path).startswith(_IN_MEMORY)
    return is_lasting and not any(one in path for one in "*?[") and tree.is_file(path)
