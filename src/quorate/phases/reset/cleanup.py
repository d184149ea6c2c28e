"""Phase cleanup-node: stops the kubelet and its pods, and deletes what init or join made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from quorate.errors import HostError
from quorate.foreign.content import ids_of
from quorate.foreign.paths import clean
from quorate.host.cri import CriError, Runtime
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER
from quorate.phases.node import leftovers, run_marker
from quorate.phases.node.left_note import NOTES
from quorate.phases.node.local_etcd import delete_data
from quorate.phases.node.paths import CONFS
from quorate.phases.node.static_pods import BEFORE_REJOIN
from quorate.phases.reset import mounts
from quorate.phases.reset.judge import PHASE, judge_alone
from quorate.phases.reset.state import ResetRun, certificates_in, folders, is_emptied
from quorate.report import Notice


def clean_up(run: ResetRun) -> None:
    """Cleans the node. A step that fails does not stop the others. Raises `HostError` at the end with everything that is
    left."""
    run.look()
    run.refuse_changed()
    emptied = folders(run)
    files = [f"{CONFIG_FOLDER}/{name}.conf" for name in CONFS]
    left: list[str] = []
    if not run.is_member_judged:
        judge_alone(run)
    if run.dry_run:
        run.say(PHASE, "Would stop the kubelet service, unmount and remove its pods")
    else:
        _end_kubelet(run)
        if run.left is not None:
            # Again, now that no kubelet can restart this etcd: until here it may have made new data.
            _try(partial(delete_data, run.tree, run.left, run.data, run.users), left)
    verb = "Would delete" if run.dry_run else "Deleting"
    run.say(PHASE, f"{verb} contents of directories: [{' '.join(emptied)}]")
    for folder in emptied:
        run.refuse_changed()
        _try(partial(_empty, run, folder), left)
    run.say(PHASE, f"{verb} files: [{' '.join(files)}]")
    for path in files:
        _try(partial(run.remove, path), left)
    run.refuse_changed()
    for path in (run_marker.PATH, BEFORE_REJOIN, *NOTES):
        _try(partial(run.tree.remove, path), left)
    _try(partial(leftovers.sweep, run.tree, clean(run.reset.certificates_dir), run.report), left)
    if left:
        raise HostError(
            f"this node is not completely reset: {'; '.join(left)}",
            state="everything else was deleted; the warnings name a kubelet or pods that could not be stopped",
            advice="fix the cause of each, then run the same command again",
        )


def _try(step: Callable[[], None], left: list[str]) -> None:
    try:
        step()
    except HostError as error:
        left.append(error.what)


def _empty(run: ResetRun, folder: str) -> None:
    """Empties a folder. In a certificates' folder that the user named, only certificates are deleted: a mistyped --cert-dir
    /home emptied /home."""
    if is_emptied(folder):
        run.empty(folder)
        return
    paths = certificates_in(folder)
    run.users.look()
    for path in paths:
        run.refuse_used(ids_of(map(run.tree.stamp, paths)), folder)
        run.remove(path)
    if run.tree.names(folder):
        run.report(Notice(f"{folder} holds other files than certificates: they are kept", "warning"))


def _end_kubelet(run: ResetRun) -> None:
    run.say(PHASE, "Stopping the kubelet service")
    try:
        run.kubelet.stop()
    except HostError as error:
        run.report(Notice(error.what, "warning"))
    # Before the look at what another program made: pods and mounts that begin later may be its.
    until_ns = int(run.clock.wall() * 1e9)
    volumes = mounts.volumes(run)
    try:
        run.refuse_changed()
    except HostError:
        # This run was suspended, and another program has joined the node meanwhile: its kubelet runs again.
        _try(run.kubelet.start, [])
        raise
    have_ended = _remove_pods(run, until_ns)
    run.say(PHASE, f'Unmounting mounted directories in "{KUBELET_FOLDER}"')
    run.refuse_changed()
    mounts.unmount(run, volumes)
    if have_ended and not run.kubelet.may_run():
        # Not before: the kubelet and its pods make and change files there until they have ended.
        run.note_content(KUBELET_FOLDER)


def _remove_pods(run: ResetRun, until_ns: int) -> bool:
    """Ends the pods of Kubernetes. The runtime may run other containers too, which this interface does not show. Returns
    whether all have ended."""
    try:
        with Runtime.connect(run.cri_socket, run.clock.cancel) as runtime:
            runtime.end_sandboxes(run.clock, until_ns=until_ns)
    except (CriError, HostError) as error:
        run.report(Notice(f"pods may still run: {error.what}", "warning"))
        return False
    return True
