"""The marker that init or join keeps on the node while it runs: which command it is, and what was there before. The same
command run again resumes instead of refusing its own files; a join that fails deletes what was not there before (decision
15)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from quorate.errors import PreflightFailed
from quorate.foreign.documents import BadDocument, read_object
from quorate.foreign.values import integer_of, is_newer, text_of, texts_of
from quorate.phases.base.context import CONFIG_FOLDER, Context
from quorate.phases.node.local_etcd import LEFT
from quorate.tree import Tree

PATH = f"{CONFIG_FOLDER}/.quorate-run.json"
_MODE = 0o600
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Marker:
    """The content of the marker. `command`: init or join; `node`: its name; `before`: what was there when the first run began,
    at `began_ns` (nanoseconds since the epoch), of the paths `looked_at` (none is known of a marker of 0.2 and older);
    `resumed`: this is not the first run."""

    command: str
    node: str
    before: frozenset[str]
    began_ns: int
    resumed: bool
    looked_at: frozenset[str]


def begin(context: Context, command: str, may_be_made: Iterable[str], objects: Iterable[str] = ()) -> Marker:
    """Returns the marker of an earlier run of the same command, or writes a new one. `may_be_made`: every path that the run
    may write; `objects`: of the cluster, those that exist before the run.

    Raises `PreflightFailed` when another command, or one for another node name, was cut off here.
    """
    left = _read(context.tree)
    if left is not None and (left.command, left.node) != (command, context.node.name):
        raise PreflightFailed(
            f"'quorate {left.command}' of a node named {left.node!r} was cut off on this host",
            state="the files that it made are still there",
            advice=f"finish it with the same command, or remove them with 'quorate reset'; {PATH} is its record",
        )
    if left is not None:
        return left
    looked_at = sorted(may_be_made)
    before = frozenset([*(path for path in looked_at if context.tree.mode(path) is not None), *objects])
    began = int(context.now.timestamp() * 1e9)
    made = {
        "format": _FORMAT,
        "command": command,
        "node": context.node.name,
        "before": sorted(before),
        "beganNs": began,
        "lookedAt": looked_at,
    }
    context.tree.remove(LEFT)
    context.tree.write(PATH, json.dumps(made, indent=1).encode() + b"\n", mode=_MODE)
    return Marker(command, context.node.name, before, began, resumed=False, looked_at=frozenset(looked_at))


def is_resumed(context: Context, command: str) -> bool:
    left = _read(context.tree)
    return left is not None and (left.command, left.node) == (command, context.node.name)


def made_by_the_run(tree: Tree, path: str) -> bool:
    """Returns whether the run that was cut off here, or is under way, made this file: it was not there when that run began.
    Without a marker nothing is known, and it returns False."""
    left = _read(tree)
    return left is not None and path in left.looked_at and path not in left.before


def finish(context: Context) -> None:
    context.tree.remove(PATH)


def _read(tree: Tree) -> Marker | None:
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
        return Marker(command, node, before, integer_of(told["beganNs"]), resumed=True, looked_at=looked_at)
    except (BadDocument, KeyError):
        raise PreflightFailed(
            f"{PATH} cannot be read: a run was cut off here, and it is unknown what it made",
            state="nothing was changed",
            advice="look at what is in /etc/kubernetes, then run 'quorate reset'",
        ) from None
