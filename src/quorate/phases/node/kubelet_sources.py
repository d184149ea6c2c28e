"""Where the kubelet of this node takes static pods from: its configuration files, its flags, and the unit that starts it.

A kubelet has many places for settings: kubeadm's flags, the files of distributions, drop-ins of systemd, folders of drop-ins of
its configuration. Each that was not read was taken for "no static pods", and a voter that ran from there was wiped.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from string import Template

from quorate.errors import Refused
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.values import text_of
from quorate.phases.base.context import KUBELET_FOLDER
from quorate.tree import Tree

_CONFIGS = tuple(f"{KUBELET_FOLDER}/{name}" for name in ("config.yaml", "instance-config.yaml"))
_ENVIRONMENTS = (f"{KUBELET_FOLDER}/kubeadm-flags.env", "/etc/default/kubelet", "/etc/sysconfig/kubelet")
_UNITS = tuple(f"{base}/systemd/system/kubelet.service" for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"))
_QUOTES = str.maketrans("\"'\\", "   ")
_ENVIRONMENT_FILE = "EnvironmentFile="
_MOST_ROUNDS = 4
"""Variables in variables, and files that files name."""


def static_pod_places(tree: Tree) -> list[str]:
    """Returns the folders, or files, that the kubelet takes static pods from as its settings say. Raises `Refused` where they
    cannot be read, or name what is not a file here: a kubelet that runs keeps what it read before."""
    flags = _Flags(tuple(_texts(tree)))
    configs = [*_CONFIGS, *flags.values("--config")]
    for folder in flags.values("--config-dir"):
        configs += [f"{folder}/{name}" for name in tree.names(folder) if name.endswith(".conf")]
    places = flags.values("--pod-manifest-path")
    for path in dict.fromkeys(configs):
        places += _in_config(tree, path)
    if flags.values("--manifest-url"):
        raise _unknown("the kubelet takes static pods from a URL (--manifest-url)", "the kubelet's flags")
    return list(dict.fromkeys(places))


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
    """Yields the texts in which flags of the kubelet are found: environments, units and their drop-ins."""
    paths = list(_ENVIRONMENTS)
    for unit in _UNITS:
        paths += [unit, *(f"{unit}.d/{name}" for name in tree.names(f"{unit}.d") if name.endswith(".conf"))]
    seen: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        new = [path for path in dict.fromkeys(paths) if path not in seen]
        for path in new:
            seen.add(path)
            text = _without_comments((tree.read(path) or b"").decode(errors="replace"))
            paths += _named_files(text)
            yield text


def _named_files(text: str) -> list[str]:
    """Returns the files of variables that a unit names; a dash allows one to be missing."""
    lines = [line.strip() for line in text.splitlines()]
    named = [line.removeprefix(_ENVIRONMENT_FILE).strip().strip("\"'-") for line in lines if line.startswith(_ENVIRONMENT_FILE)]
    return [posixpath.normpath(one) for one in named if one.startswith("/")]


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))


class _Flags:
    """The flags in some texts, as pflag reads them: `--flag value` or `--flag=value`, with dashes or underscores."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words = "\n".join(texts).translate(_QUOTES).split()
        self._variables = dict(pair for word in self._words for pair in _assigned(word))

    def values(self, flag: str) -> list[str]:
        """Returns all values that a flag is given anywhere. Raises `Refused` for one that holds a variable that is unknown."""
        found: list[str] = []
        for number, word in enumerate(self._words):
            name, has_value, value = word.partition("=")
            # A flag may follow the name of a variable: KUBELET_EXTRA_ARGS=--flag=value.
            if name.isidentifier() and value.startswith("--"):
                name, has_value, value = value.partition("=")
            if name.replace("_", "-") == flag:
                following = self._words[number + 1] if number + 1 < len(self._words) else ""
                found += [one for one in [value if has_value else following] if one]
        return [self._resolved(flag, value) for value in found]

    def _resolved(self, flag: str, value: str) -> str:
        for _ in range(_MOST_ROUNDS):
            value = Template(value).safe_substitute(self._variables)
        if "$" in value or "%" in value:
            raise _unknown(f"{flag} is {value[:80]!r}, which systemd fills in", "the unit of the kubelet")
        # As the kubelet does: a path of a flag is relative to the folder in which systemd starts it.
        return posixpath.normpath(posixpath.join("/", value)) if flag != "--manifest-url" else value


def _assigned(word: str) -> Iterator[tuple[str, str]]:
    """Yields what a word assigns: `Environment=A=b` assigns A, too."""
    name, is_assigned, value = word.partition("=")
    while is_assigned and name.isidentifier():
        yield name, value
        name, is_assigned, value = value.partition("=")
