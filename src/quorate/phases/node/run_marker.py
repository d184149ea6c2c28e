"""The marker that init or join keeps on the node while it runs: which command it is, and what was there before. The same
command run again resumes instead of refusing its own files; a join that fails deletes what was not there before (decision
15)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace

from quorate.errors import PreflightFailed
from quorate.foreign.documents import BadDocument, read_object
from quorate.foreign.places import Stamp
from quorate.foreign.values import integer_of, is_newer, mapping_of, text_of, texts_of
from quorate.phases.base.context import CONFIG_FOLDER, Context
from quorate.phases.base.this_node import ThisNode
from quorate.phases.node.local_etcd import LEFT
from quorate.report import ResourceWritten, RunMessage, silent
from quorate.tree import RealTree, Tree

PATH = f"{CONFIG_FOLDER}/.quorate-run.json"
_MODE = 0o600
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Marker:
    """The content of the marker. `command`: init or join; `node`: its name; `before`: what was there when the first run began,
    at `began_ns` (nanoseconds since the epoch), of the paths `looked_at` (none is known of a marker of 0.2 and older);
    `resumed`: this is not the first run; `wrote`: the files that the run has written, as they were then."""

    command: str
    node: str
    before: frozenset[str]
    began_ns: int
    resumed: bool
    looked_at: frozenset[str]
    wrote: Mapping[str, Stamp] = field(default_factory=dict[str, Stamp])


def begin(context: Context, command: str, may_be_made: Iterable[str], objects: Iterable[str] = ()) -> Marker:
    """Returns the marker of an earlier run of the same command, or writes a new one. `may_be_made`: every path that the run
    may write; `objects`: of the cluster, those that exist before the run.

    Raises `PreflightFailed` when another command, or one for another node name, was cut off here.
    """
    left = _read(context.tree, context.this_node)
    if left is not None and (left.command, left.node) != (command, context.node.name):
        raise PreflightFailed(
            f"'quorate {left.command}' of a node named {left.node!r} was cut off on this host",
            state="the files that it made are still there",
            advice=f"finish it with the same command, or remove them with '{context.this_node.command('reset')}'; "
            f"{PATH} is its record",
        )
    if left is not None:
        return _taken_up(context, left)
    looked_at = sorted(may_be_made)
    before = frozenset([*(path for path in looked_at if context.tree.mode(path) is not None), *objects])
    began = int(context.now.timestamp() * 1e9)
    context.tree.remove(LEFT)
    mark = Marker(command, context.node.name, before, began, resumed=False, looked_at=frozenset(looked_at))
    _write(context.tree, mark)
    return mark


def _taken_up(context: Context, left: Marker) -> Marker:
    """Returns the marker of an earlier run. Where another program has worked on the node since, as `kubeadm reset` and a join
    after it, what is here now is not of that run: a marker that was believed for ever let an undo delete a live node's files,
    and a CA that was copied here by hand."""
    if not replaced(context.tree, left, gone_too=True):
        return left
    there = frozenset(path for path in left.looked_at | left.wrote.keys() if context.tree.mode(path) is not None)
    taken = replace(left, before=left.before | there, wrote={})
    _write(context.tree, taken)
    return taken


def replaced(tree: Tree, mark: Marker, *, gone_too: bool = False) -> str:
    """Returns a file of the run that another program has written anew since, or with `gone_too` deleted; empty where there is
    none, and where it is not known what the run wrote (a marker of 0.2 and older)."""
    for path, seen in mark.wrote.items():
        there = tree.stamp(path)
        if there != seen and (there is not None or gone_too):
            return path
    return ""


def noting(context: Context, mark: Marker) -> tuple[Context, Callable[[], Marker]]:
    """Returns the context with a tree that notes in the marker which file the run writes, and what the marker is by then."""
    tree, made = context.tree, [mark]
    if not isinstance(tree, RealTree):
        return context, lambda: made[0]

    def note(message: RunMessage) -> None:
        tree.report(message)
        if isinstance(message, ResourceWritten) and message.kind == "file":
            seen = tree.stamp(message.name)
            if seen is not None:
                made[0] = replace(made[0], wrote={**made[0].wrote, message.name: seen})
                _write(quiet, made[0])

    quiet = replace(tree, report=silent)
    return replace(context, tree=replace(tree, report=note)), lambda: made[0]


def _write(tree: Tree, mark: Marker) -> None:
    fields = {
        "format": _FORMAT,
        "command": mark.command,
        "node": mark.node,
        "before": sorted(mark.before),
        "beganNs": mark.began_ns,
        "lookedAt": sorted(mark.looked_at),
        "wrote": {path: list(astuple(seen)) for path, seen in mark.wrote.items()},
    }
    tree.write(PATH, json.dumps(fields, indent=1).encode() + b"\n", mode=_MODE)


def is_resumed(context: Context, command: str) -> bool:
    left = _read(context.tree, context.this_node)
    return left is not None and (left.command, left.node) == (command, context.node.name)


def made_by_the_run(context: Context, path: str) -> bool:
    """Returns whether the run that was cut off here, or is under way, made this file: it was not there when that run began.
    Without a marker nothing is known, and it returns False."""
    left = _read(context.tree, context.this_node)
    return left is not None and path in left.looked_at and path not in left.before


def _stamp(row: object) -> Stamp:
    """Reads one stamp. Raises ValueError for what is none."""
    if not isinstance(row, list) or len(row) != 4 or not all(isinstance(one, int) for one in row):
        raise ValueError("no stamp")
    return Stamp(*map(integer_of, row))


def finish(context: Context) -> None:
    context.tree.remove(PATH)


def _read(tree: Tree, here: ThisNode) -> Marker | None:
    content = tree.read(PATH)
    if content is None:
        return None
    try:
        told = read_object(content, PATH)
        if is_newer(told, _FORMAT):
            raise PreflightFailed(
                f"{PATH} was written by a newer quorate: a run of it was cut off here",
                state="nothing was changed",
                advice="finish it, or reset the node, with the version that began it",
            )
        command, node = text_of(told["command"]), text_of(told["node"])
        before, looked_at = (frozenset(texts_of(one)) for one in (told["before"], told.get("lookedAt")))
        wrote = {path: _stamp(row) for path, row in mapping_of(told.get("wrote")).items()}
        return Marker(command, node, before, integer_of(told["beganNs"]), resumed=True, looked_at=looked_at, wrote=wrote)
    except (BadDocument, KeyError, ValueError):
        raise PreflightFailed(
            f"{PATH} cannot be read: a run was cut off here, and it is unknown what it made",
            state="nothing was changed",
            advice=f"look at what is in /etc/kubernetes, then: {here.command('reset')}",
        ) from None
