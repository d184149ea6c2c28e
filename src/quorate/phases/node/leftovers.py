"""What runs that were killed have left beside the files of a node: copies of keys, and what they were about to delete."""

from __future__ import annotations

from quorate.foreign.aside import meant_for
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER, MANIFESTS_FOLDER
from quorate.report import Notice, Report
from quorate.tree import Tree


def _folders(certificates: str) -> tuple[str, ...]:
    return (CONFIG_FOLDER, MANIFESTS_FOLDER, certificates, f"{certificates}/etcd", KUBELET_FOLDER)


def sweep(tree: Tree, certificates: str, report: Report) -> None:
    """Deletes what killed runs have left, and gives back what they had put away and were not to delete."""
    for folder in _folders(certificates):
        for name in tree.sweep(folder):
            text = (
                f"{folder}/{name} was left by a run that was cut off, and is kept: a newer file has its name, or it is no file"
            )
            report(Notice(text, "warning"))


def found(tree: Tree, certificates: str) -> list[str]:
    """Returns the paths of what killed runs have left; of one that is at work too."""
    here = [(folder, name) for folder in _folders(certificates) for name in tree.names(folder)]
    return [f"{folder}/{name}" for folder, name in here if meant_for(name) or name in (TAKEN, JUDGED)]
