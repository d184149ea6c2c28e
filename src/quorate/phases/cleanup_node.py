"""Phase cleanup-node: the kubelet and its pods end, and what init or join made is deleted."""

from __future__ import annotations

import subprocess
from pathlib import Path

from quorate.errors import HostError
from quorate.host.cri import CriError, Runtime
from quorate.phases import marker
from quorate.phases.context import CONFIG_FOLDER, KUBELET_FOLDER, MANIFESTS_FOLDER
from quorate.phases.node_files import wipe
from quorate.phases.resetting import LEFT, ResetRun, delete_data
from quorate.phases.undo_join import CONFS
from quorate.report import Notice
from quorate.tree import RealTree

PHASE = "reset"
TMP_FOLDER = f"{CONFIG_FOLDER}/tmp"  # noqa: S108


def clean_up(run: ResetRun) -> None:
    """What cannot be done is said and does not stop the rest: another reset ends it."""
    folders = [MANIFESTS_FOLDER, run.reset.certificates_dir, KUBELET_FOLDER]
    folders += [TMP_FOLDER] if run.reset.cleanup_tmp_dir else []
    files = [f"{CONFIG_FOLDER}/{name}.conf" for name in CONFS]
    if run.dry_run:
        run.say(PHASE, "Would stop the kubelet service, unmount and remove its pods")
    else:
        _end_kubelet(run)
        if run.left is not None:
            # Now that no kubelet can start it once more.
            delete_data(run.tree, run.left)
    run.say(PHASE, f"Deleting contents of directories: [{' '.join(folders)}]")
    for folder in folders:
        try:
            wipe(run.tree, folder)
        except HostError as error:
            run.report(Notice(error.what, "warning"))
    run.say(PHASE, f"Deleting files: [{' '.join(files)}]")
    for path in [*files, marker.PATH, LEFT]:
        run.tree.remove(path)


def _end_kubelet(run: ResetRun) -> None:
    run.say(PHASE, "Stopping the kubelet service")
    try:
        run.kubelet.stop()
    except HostError as error:
        run.report(Notice(error.what, "warning"))
    _remove_pods(run)
    run.say(PHASE, f'Unmounting mounted directories in "{KUBELET_FOLDER}"')
    _unmount(run)


def _remove_pods(run: ResetRun) -> None:
    """Those of Kubernetes: the runtime may run others' containers too, which are not seen by this interface."""
    try:
        with Runtime.connect(run.reset.cri_socket) as runtime:
            runtime.end_sandboxes(run.clock)
    except CriError as error:
        run.report(Notice(f"pods may still run: {error.what}", "warning"))


def _unmount(run: ResetRun) -> None:
    tree = run.tree
    if not isinstance(tree, RealTree):
        return
    top = str(tree.at(KUBELET_FOLDER))
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    flags = [word for flag in run.reset.unmount_flags for word in _FLAGS.get(flag, ())]
    for place in sorted((one for one in mounted if one.startswith(f"{top}/")), reverse=True):
        done = subprocess.run(["umount", *flags, place], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            run.report(Notice(f"cannot unmount {place}: {done.stderr.strip()}", "warning"))


_FLAGS = {"MNT_FORCE": ("--force",), "MNT_DETACH": ("--lazy",), "UMOUNT_NOFOLLOW": ("--no-canonicalize",)}
