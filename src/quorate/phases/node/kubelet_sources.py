"""Where the kubelet of this node takes static pods from: its configuration files, its flags, and the unit that starts it.

A kubelet has many places for settings: kubeadm's flags, the files of distributions, drop-ins of systemd, folders of drop-ins of
its configuration. Each that was not read was taken for "no static pods", and a voter that ran from there was wiped.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from string import Template

from quorate.errors import HostError, Refused
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.values import text_of
from quorate.phases.base.context import KUBELET_FOLDER
from quorate.phases.base.node_files import is_masked
from quorate.tree import Tree

_CONFIGS = tuple(f"{KUBELET_FOLDER}/{name}" for name in ("config.yaml", "instance-config.yaml"))
_ENVIRONMENTS = (f"{KUBELET_FOLDER}/kubeadm-flags.env", *(f"/etc/{one}/kubelet" for one in ("default", "sysconfig", "conf.d")))
_BASES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
_UNITS = tuple(f"{base}/systemd/system/kubelet.service" for base in _BASES)
_DROP_INS = (
    *(f"{unit}.d" for unit in _UNITS),
    # For every service; and what `systemctl set-property` and generators write.
    *(f"{base}/systemd/system/service.d" for base in _BASES),
    *(f"{base}/systemd/system.control/kubelet.service.d" for base in ("/etc", "/run")),
)
_QUOTES = str.maketrans("\"'\\", "   ")
_MOST_ROUNDS = 4
"""Variables in variables."""

_DEEPEST = 8


def static_pod_places(tree: Tree) -> list[str]:
    """Returns the folders, or files, that the kubelet takes static pods from as its settings say. Raises `Refused` where they
    cannot be read, or name what is not a file here: a kubelet that runs keeps what it read before."""
    flags = _Flags(tuple(_texts(tree)))
    configs = [*_CONFIGS, *flags.values("--config")]
    for folder in flags.values("--config-dir"):
        configs += _drop_ins(tree, folder, _DEEPEST)
    places = flags.values("--pod-manifest-path")
    for path in dict.fromkeys(configs):
        places += _in_config(tree, path)
    if flags.values("--manifest-url"):
        raise _unknown("the kubelet takes static pods from a URL (--manifest-url)", "the kubelet's flags")
    return list(dict.fromkeys(places))


def _drop_ins(tree: Tree, folder: str, deepest: int) -> Iterator[str]:
    """Yields the drop-ins of a configuration: the kubelet looks for them in the folders below, too."""
    for name in tree.names(folder):
        path = f"{folder}/{name}"
        if tree.is_file(path):
            if name.endswith(".conf"):
                yield path
        elif deepest:
            yield from _drop_ins(tree, path, deepest - 1)


def _in_config(tree: Tree, path: str) -> Iterator[str]:
    content = tree.read(path)
    if content is None or not content.strip():
        return
    try:
        told = read_mapping(content, path)
    except BadDocument as error:
        raise _unknown(error.what, path) from None
    if told.get("staticPodURL"):
        raise _unknown(f"{path} names a URL of static pods (staticPodURL)", path)
    if place := text_of(told.get("staticPodPath")):
        # As the kubelet resolves it: relative to the folder of the file that names it.
        yield posixpath.normpath(posixpath.join(posixpath.dirname(path), place))


def _unknown(why: str, where: str) -> Refused:
    return Refused(
        f"it is unknown which static pods the kubelet runs: {why}",
        state="nothing was changed: one may be an etcd member that the cluster counts on",
        advice=f"correct {where}; or stop the kubelet and its pods, and delete that file",
    )


def _texts(tree: Tree) -> Iterator[str]:
    """Yields the texts in which flags of the kubelet are found: environments, and what its unit starts and sets."""
    environments = list(_ENVIRONMENTS)
    for path in _unit_files(tree):
        for name, value in _settings(_text(tree, path).replace("\\\n", " ")):
            if name == "Environment":
                yield value
            elif name == "ExecStart":
                yield value
                yield from _script(tree, value)
            elif name == "EnvironmentFile":
                environments += _environment_files(tree, value)
    for path in dict.fromkeys(environments):
        yield _without_comments(_text(tree, path).replace("\\\n", ""))


def _unit_files(tree: Tree) -> list[str]:
    drop_ins = [f"{folder}/{name}" for folder in _DROP_INS for name in tree.names(folder) if name.endswith(".conf")]
    return [*_UNITS, *drop_ins]


def _text(tree: Tree, path: str) -> str:
    """Returns the text of a file; empty where there is none, and for one that systemd is told to leave out."""
    return "" if is_masked(tree, path) else (tree.read(path) or b"").decode(errors="replace")


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in _without_comments(text).splitlines():
        name, is_set, value = line.partition("=")
        if is_set:
            yield name.strip(), value.strip()


def _script(tree: Tree, command: str) -> Iterator[str]:
    """Yields the text of a script that starts the kubelet in its unit's place."""
    program = command.translate(_QUOTES).lstrip("@-:+!| ").partition(" ")[0]
    if posixpath.basename(program) == "kubelet" or not program.startswith("/"):
        return
    # One that is too large to be read is no script.
    with suppress(HostError):
        content = tree.read(posixpath.normpath(program)) or b""
        if content.startswith(b"#!"):
            yield _without_comments(content.decode(errors="replace").replace("\\\n", " "))


def _environment_files(tree: Tree, value: str) -> list[str]:
    """Returns the files of variables that a unit names, in the way of a shell; a dash allows one to be missing."""
    path = posixpath.normpath(value.strip("\"'").removeprefix("-"))
    folder, name = posixpath.split(path)
    if not path.startswith("/") or not any(one in path for one in "*?["):
        return [path] if path.startswith("/") else []
    if any(one in folder for one in "*?["):
        raise _unknown(f"EnvironmentFile is {value[:80]!r}, which systemd looks up", "the unit of the kubelet")
    return [f"{folder}/{found}" for found in tree.names(folder) if fnmatchcase(found, name)]


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))


class _Flags:
    """The flags in some texts, as pflag reads them: `--flag value` or `--flag=value`, with dashes or underscores."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words = [_last_assigned(word) for word in "\n".join(texts).translate(_QUOTES).split()]
        self._variables = {name: value for assigned, _ in self._words for name, value in assigned}

    def values(self, flag: str) -> list[str]:
        """Returns all values that a flag is given anywhere. Raises `Refused` for one that holds a variable that is unknown."""
        found: list[str] = []
        for number, (_, word) in enumerate(self._words):
            name, has_value, value = word.partition("=")
            if name.replace("_", "-") == flag:
                following = self._words[number + 1][1] if number + 1 < len(self._words) else ""
                found += [one for one in [value if has_value else following] if one]
        return [self._resolved(flag, value) for value in found]

    def _resolved(self, flag: str, value: str) -> str:
        for _ in range(_MOST_ROUNDS):
            value = Template(value).safe_substitute(self._variables)
        if "$" in value or "%" in value:
            raise _unknown(f"{flag} is {value[:80]!r}, which systemd fills in", "the unit of the kubelet")
        # As the kubelet does: a path of a flag is relative to the folder in which systemd starts it.
        return posixpath.normpath(posixpath.join("/", value)) if flag != "--manifest-url" else value


def _last_assigned(word: str) -> tuple[list[tuple[str, str]], str]:
    """Returns what a word assigns, and what is left of it: A=--flag=value assigns A, and is a flag, too."""
    assigned: list[tuple[str, str]] = []
    name, is_assigned, value = word.partition("=")
    while is_assigned and name.isidentifier():
        assigned.append((name, value))
        word = value
        name, is_assigned, value = value.partition("=")
    return assigned, word
