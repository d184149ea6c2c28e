"""The etcds that run on this node beside the one of its manifest: what would end with a reset, and what would not.

Files tell how an etcd may be started, in more ways than can be listed: units, wrappers, variables, folders of the kubelet. One
that runs is found by what it has open. So a voter that serves is never lost because nobody understood what had started it.
"""

from __future__ import annotations

from pathlib import Path

from quorate.errors import Refused
from quorate.host.running_etcds import RunningEtcd, is_open_here, running_etcds, uses
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.tree import Tree


def is_this_host(tree: Tree) -> bool:
    """Returns whether the files are those of the machine that this runs on, and not of one below --rootfs."""
    return tree.at("/") == Path("/")


def refuse_running(tree: Tree, own_data: str, certificates: str) -> None:
    """Raises `Refused` where an etcd runs that is not the one in `own_data`, and that a reset would end or take the files from:
    one in a pod, or with certificates in what is deleted. Any other, such as that of another program, is left alone."""
    for one in running_etcds() if is_this_host(tree) else ():
        if own_data and is_open_here(one, real_path(tree, own_data)):
            continue
        if why := _why_it_ends(one, certificates):
            raise Refused(
                f"an etcd runs here (pid {one.pid}, with its data in {one.folder}), not the one of this node's manifest, "
                f"and {why}",
                state="nothing was changed: it may be a member that the cluster counts on",
                advice="remove its member from its cluster and stop it; or, when it is no member, stop it; then run the same "
                "command again",
            )


def _why_it_ends(one: RunningEtcd, certificates: str) -> str:
    if one.is_in_pod:
        return "it runs in a pod, which would be stopped"
    for folder in (CONFIG_FOLDER, certificates, KUBELET_FOLDER):
        if uses(one, folder):
            return f"it uses files below {folder}, which would be deleted"
    return ""


def runs_elsewhere(tree: Tree, folder: str) -> bool:
    """Returns whether the data in a folder is that of an etcd that runs and that a reset does not touch: its manifest is not
    missed."""
    return is_this_host(tree) and any(is_open_here(one, real_path(tree, folder)) for one in running_etcds())
