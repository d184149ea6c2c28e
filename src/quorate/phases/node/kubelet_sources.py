"""Where the kubelet of this node takes static pods from: its configuration files, its flags, and the unit that starts it.

A kubelet has many places for settings: kubeadm's flags, the files of distributions, drop-ins of systemd, folders of drop-ins of
its configuration. Each that was not read was taken for "no static pods", and a voter that ran from there was wiped. So what a
start command names and is not read here is no answer: it ends with `Refused`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from quorate.errors import HostError, Refused
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.json_keys import says_a_key_twice
from quorate.foreign.values import text_of
from quorate.host.kubelets import RunningKubelet
from quorate.phases.base.context import KUBELET_FOLDER
from quorate.phases.node.etcd_signs import says_anything
from quorate.phases.node.kubelet_flags import Flags
from quorate.phases.node.kubelet_start import start_of
from quorate.phases.node.plain_start import is_start_known
from quorate.tree import Tree

_CONFIGS = tuple(f"{KUBELET_FOLDER}/{name}" for name in ("config.yaml", "instance-config.yaml"))
_DEEPEST = 8


def static_pod_places(tree: Tree, running: Iterable[RunningKubelet] = ()) -> list[str]:
    """Returns the folders, or files, that the kubelet takes static pods from as its settings say, and as those that run were
    started. Raises `Refused` where that cannot be read, or names what is not a file here."""
    try:
        return _places(tree, tuple(running))
    except HostError as error:
        raise _unknown(error.what) from error


def may_be_elsewhere(tree: Tree) -> bool:
    """Returns whether the kubelet may take static pods from a place that no file tells. Raises as `static_pod_places`."""
    try:
        return not is_start_known(tree)
    except HostError as error:
        raise _unknown(error.what) from error


def _places(tree: Tree, running: tuple[RunningKubelet, ...]) -> list[str]:
    start = start_of(tree, _unknown)
    folders = tuple(dict.fromkeys(["/", *start.folders, *(one.folder for one in running)]))
    flags = Flags([*start.words, *(word for one in running for word in one.words)], folders, _unknown)
    if flags.texts("--manifest-url"):
        raise _unknown("it takes static pods from a URL (--manifest-url)")
    places = flags.paths("--pod-manifest-path")
    for paths in flags.meant("--config"):
        # With one that is missing no kubelet starts. A relative one may be anywhere.
        if len(paths) > 1 and not any(tree.is_file(path) for path in paths):
            raise _unknown(f"its configuration {paths[0]} is missing")
    for path in dict.fromkeys([*_CONFIGS, *flags.paths("--config")]):
        places += [posixpath.join(posixpath.dirname(path), place) for place in _in_config(tree, path)]
    for folder in flags.paths("--config-dir"):
        for path in _drop_ins(tree, folder, _DEEPEST):
            # Relative ones are meant from where the kubelet runs, those of its first file from where that file is.
            beside = (posixpath.dirname(path), *folders)
            places += [posixpath.join(one, place) for place in _in_config(tree, path) for one in beside]
    return list(dict.fromkeys(posixpath.normpath(place) for place in places))


def _drop_ins(tree: Tree, folder: str, deepest: int) -> Iterator[str]:
    """Yields the drop-ins of a configuration: the kubelet looks for them in the folders below, too."""
    if not deepest:
        raise _unknown(f"{folder} is too deep to be read")
    for name in tree.names(folder):
        path = f"{folder}/{name}"
        if not tree.is_file(path):
            yield from _drop_ins(tree, path, deepest - 1)
        elif name.endswith(".conf"):
            yield path


def _in_config(tree: Tree, path: str) -> list[str]:
    """Returns the place that a configuration names, if any."""
    content = tree.read(path)
    if content is None or not says_anything(content):
        return []
    try:
        settings = read_mapping(content, path)
    except BadDocument as error:
        raise _unknown(error.what) from None
    if says_a_key_twice(content):
        raise _unknown(f"{path} says a key twice")
    if settings.get("staticPodURL"):
        raise _unknown(f"{path} names a URL of static pods (staticPodURL)")
    # What is no text was never a path: the kubelet ends with it.
    place = text_of(settings.get("staticPodPath"))
    return [place] if place else []


def _unknown(why: str) -> Refused:
    return Refused(
        f"it is unknown which static pods the kubelet runs: {why}",
        state="nothing was changed: one may be an etcd member that the cluster counts on",
        advice="correct what is named; or stop the kubelet and its pods, and delete that file",
    )
