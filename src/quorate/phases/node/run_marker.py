"""The marker that init or join keeps on the node while it runs: which command it is, and what was there before. The same
command run again resumes instead of refusing its own files; a join that fails deletes what was not there before (decision
15)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace

from quorate.errors import HostError, PreflightFailed
from quorate.foreign.documents import BadDocument, read_object
from quorate.foreign.places import Stamp
from quorate.foreign.values import integer_of, is_newer, mapping_of, text_of, texts_of
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER, Context
from quorate.phases.base.this_node import ThisNode
from quorate.phases.node.left_note import NOTES
from quorate.report import ResourceWritten, RunMessage, silent
from quorate.tree import NewContent, RealTree, Tree

PATH = f"{CONFIG_FOLDER}/.quorate-run.json"
_MODE = 0o600
_FORMAT = 1


_KUBELET_CONFIG = f"{KUBELET_FOLDER}/config.yaml"
BY_KUBELET = (f"{KUBELET_FOLDER}/pki", f"{CONFIG_FOLDER}/kubelet.conf")
"""What the kubelet makes; the first is a folder. They are the run's where the kubelet has its configuration from it."""
_OF_ETCD = "/member"
"""etcd's own folder, of which its log tells whose it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that the run has begun to write: the hash of what it wrote, and which file that became, once it is known; until
    then `before`, the one of the run that it replaces."""

    sha256: str
    stamp: Stamp | None = None
    before: Stamp | None = None

    def is_at(self, tree: Tree, path: str, seen: Stamp) -> bool:
        """Returns whether the file that is there is this one."""
        if self.stamp is not None or seen == self.before:
            return seen in (self.stamp, self.before)
        return hashlib.sha256(tree.read(path) or b"").hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Marker:
    """The content of the marker. `command`: init or join; `node`: its name; `before`: what was there when the first run began,
    at `began_ns` (nanoseconds since the epoch), of the paths `looked_at` (none is known of a marker of 0.2 and older);
    `resumed`: this is not the first run; `wrote`: the files that the run has written; `knows`: they are noted."""

    command: str
    node: str
    before: frozenset[str]
    began_ns: int
    resumed: bool
    looked_at: frozenset[str]
    wrote: Mapping[str, Written] = field(default_factory=dict[str, Written])
    knows: bool = True

    def writing(self, path: str, written: Written) -> Marker:
        return replace(self, wrote={**self.wrote, path: written})


def begin(
    context: Context,
    command: str,
    may_be_made: Iterable[str],
    objects: Iterable[str] = (),
    *,
    checked_as_resumed: bool = False,
) -> Marker:
    """Returns the marker of an earlier run of the same command, or writes a new one. `may_be_made`: every path that the run
    may write; `objects`: of the cluster, those that exist before the run; `checked_as_resumed`: what an earlier run made was no
    obstacle to the checks.

    Where another program has worked on the node since the earlier run, as `kubeadm reset` and a join after it, what is here now
    is not of that run, and nothing else is: its kubelet, its pods. A marker that was believed for ever let an undo delete a
    live node's files, and end its pods. That files of the run are gone shows nothing: its undo may have deleted them.

    Raises `PreflightFailed` when another command, or one for another node name, was cut off here, and where another program
    came since the checks.
    """
    left = _read(context.tree, context.this_node)
    if left is not None and (left.command, left.node) != (command, context.node.name):
        raise PreflightFailed(
            f"'quorate {left.command}' of a node named {left.node!r} was cut off on this host",
            state="the files that it made are still there",
            advice=f"finish it with the same command, or remove them with '{context.this_node.command('reset')}'; "
            f"{PATH} is its record",
        )
    path = foreign(context.tree, left) if left is not None else ""
    if left is not None and not path:
        return left
    if path and checked_as_resumed:
        raise PreflightFailed(
            f"{path} was written by another program since this run looked: this node may have joined meanwhile",
            state="nothing was changed",
            advice="look at what works on this node",
        )
    looked_at = sorted(may_be_made)
    before = frozenset([*(path for path in looked_at if context.tree.mode(path) is not None), *objects])
    began = int(context.now.timestamp() * 1e9)
    for note in NOTES:
        context.tree.remove(note)
    mark = Marker(command, context.node.name, before, began, resumed=False, looked_at=frozenset(looked_at))
    _write(context.tree, mark)
    return mark


def foreign(tree: Tree, mark: Marker) -> str:
    """Returns a file that neither was there before the run nor is of the run: another program has worked on this node since.
    Empty where there is none, and where it is not known what the run wrote (a marker of 0.2 and older, and of an older init).

    A file that is only new counts too: kubeadm takes certificates that are here as they are, and adds the rest.
    """
    if not mark.knows:
        return ""
    kubelet_is_ours = has_kubelet(mark)
    for path in sorted(mark.looked_at - mark.before):
        seen = tree.stamp(path)
        by_kubelet = kubelet_is_ours and path in BY_KUBELET and path not in mark.wrote
        if seen is None or by_kubelet or path.endswith(_OF_ETCD):
            continue
        written = mark.wrote.get(path)
        if written is None or not written.is_at(tree, path, seen):
            return path
    return ""


def has_kubelet(mark: Marker) -> bool:
    """Returns whether the kubelet has its configuration from the run, so that it, and its pods, are the run's."""
    return not mark.knows or _KUBELET_CONFIG in mark.wrote


def noting(context: Context, mark: Marker) -> tuple[Context, Callable[[], Marker]]:
    """Returns the context with a tree that notes in the marker which file the run writes, and what the marker is by then."""
    tree, made = context.tree, [mark]
    if not isinstance(tree, RealTree):
        return context, lambda: made[0]
    quiet = replace(tree, report=silent)

    def begins(path: str, content: bytes) -> None:
        """Before the file is there: a run that is killed after it would not know its own."""
        earlier = made[0].wrote.get(path)
        before = earlier.stamp or earlier.before if earlier is not None else None
        made[0] = made[0].writing(path, Written(hashlib.sha256(content).hexdigest(), before=before))
        _write(quiet, made[0])

    def note(message: RunMessage) -> None:
        tree.report(message)
        path = message.name if isinstance(message, ResourceWritten) and message.kind == "file" else ""
        written, seen = made[0].wrote.get(path), tree.stamp(path) if path else None
        if written is not None and seen is not None:
            made[0] = made[0].writing(path, replace(written, stamp=seen, before=None))

    return replace(context, tree=_NotedTree(tree.root, note, begins)), lambda: made[0]


def _begins_nothing(_path: str, _content: bytes) -> None:
    """Notes nothing."""


@dataclass(frozen=True, slots=True)
class _NotedTree(RealTree):
    """A tree that calls `begins` before each file that it writes."""

    begins: Callable[[str, bytes], None] = _begins_nothing

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        self.begins(path, content)
        RealTree.write(self, path, content, mode=mode, secret=secret)

    def create(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        self.begins(path, content)
        RealTree.create(self, path, content, mode=mode, secret=secret)

    def exchange(self, *files: NewContent) -> None:
        for file in files:
            self.begins(file.path, file.content)
        RealTree.exchange(self, *files)


def _write(tree: Tree, mark: Marker) -> None:
    fields = {
        "format": _FORMAT,
        "command": mark.command,
        "node": mark.node,
        "before": sorted(mark.before),
        "beganNs": mark.began_ns,
        "lookedAt": sorted(mark.looked_at),
        "wrote": {path: _fields(one) for path, one in mark.wrote.items()},
        "isNoted": mark.knows,
    }
    tree.write(PATH, json.dumps(fields, indent=1).encode() + b"\n", mode=_MODE)


def _fields(one: Written) -> dict[str, object]:
    stamps = {"stamp": one.stamp, "before": one.before}
    return {"sha256": one.sha256, **{name: list(astuple(stamp)) for name, stamp in stamps.items() if stamp is not None}}


def is_resumed(context: Context, command: str) -> bool:
    """Returns whether the same command was cut off here, and no other program has worked on this node since."""
    left = _of(context, command)
    return left is not None and not foreign(context.tree, left)


def void_since(context: Context, command: str = "") -> str:
    """Returns the file of another program that makes the marker of a run that was cut off here void; empty where none does.
    `command`: init or join; empty for either, of any node name."""
    left = _of(context, command) if command else _read(context.tree, context.this_node)
    return foreign(context.tree, left) if left is not None else ""


def _of(context: Context, command: str) -> Marker | None:
    left = _read(context.tree, context.this_node)
    return left if left is not None and (left.command, left.node) == (command, context.node.name) else None


def made_by_the_run(context: Context, path: str) -> bool:
    """Returns whether the run that was cut off here, or is under way, made this file: it was not there when that run began, and
    is the one that the run wrote. Without a marker nothing is known, and it returns False."""
    left = _read(context.tree, context.this_node)
    if left is None or path not in left.looked_at or path in left.before:
        return False
    written, seen = left.wrote.get(path), context.tree.stamp(path)
    return not left.knows or (written is not None and seen is not None and written.is_at(context.tree, path, seen))


def refuse_foreign(context: Context) -> None:
    """Raises `HostError` where another program has worked on this node since the run that is under way began. A phase alone has
    no run: nothing is known then."""
    mark = _read(context.tree, context.this_node) if isinstance(context.tree, _NotedTree) else None
    path = foreign(context.tree, mark) if mark is not None else ""
    if path:
        raise HostError(
            f"{path} was written by another program since this run began: its kubelet is left as it is",
            advice="look at what works on this node",
        )


def _written(row: object) -> Written:
    """Reads one file that was written. Raises ValueError for what is none."""
    fields = mapping_of(row)
    sha256 = text_of(fields.get("sha256"))
    if not sha256:
        raise ValueError("no file that was written")
    return Written(sha256, *(_stamp(fields[name]) if name in fields else None for name in ("stamp", "before")))


def _stamp(row: object) -> Stamp:
    """Reads a stamp. One of 4 numbers is of 0.2 or older, and does not tell when its file was born: it equals none."""
    numbers = [integer_of(one, -1) for one in row] if isinstance(row, list) else []
    if len(numbers) not in (4, 5) or min(numbers) < 0:
        raise ValueError("no stamp")
    return Stamp(*numbers)


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
        wrote = {path: _written(row) for path, row in mapping_of(told.get("wrote")).items()}
        mark = Marker(command, node, before, integer_of(told["beganNs"]), resumed=True, looked_at=looked_at, wrote=wrote)
        # An init of 0.3 and older has the field, and never noted anything in it.
        return replace(mark, knows="wrote" in told and (command == "join" or told.get("isNoted") is True))
    except (BadDocument, KeyError, ValueError):
        raise PreflightFailed(
            f"{PATH} cannot be read: a run was cut off here, and it is unknown what it made",
            state="nothing was changed",
            advice=f"look at what is in /etc/kubernetes, then: {here.command('reset')}",
        ) from None
