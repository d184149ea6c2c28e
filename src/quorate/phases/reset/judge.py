"""What a reset looks for before it changes anything: etcds and members of this node that its manifest does not show."""

from __future__ import annotations

from quorate.errors import HostError, Refused
from quorate.foreign.text import to_paste
from quorate.host.etcd_identity import member_owner
from quorate.phases.base.node_files import real_path
from quorate.phases.node.kubelet_sources import may_be_elsewhere
from quorate.phases.node.left_note import Left, has_left
from quorate.phases.node.local_etcd import (
    doubt_without_manifest,
    own_data_dir,
    refuse_data_without_manifest,
    refuse_other_etcds,
    refuse_other_manifests,
)
from quorate.phases.node.own_running import refuse_running
from quorate.phases.node.static_pods import manifest_path
from quorate.phases.reset import mounts
from quorate.phases.reset.state import ResetRun, doomed, folders
from quorate.report import Notice

PHASE = "reset"
_MEMBER_PHASE = "remove-etcd-member"


def judge_alone(run: ResetRun) -> None:
    """Judges what phase remove-etcd-member has not, where only the cleaning runs: that takes the keys and manifests of members,
    too. Whoever skips that phase by its name has said that this node has no member, or that it is left behind."""
    mounts.refuse(run, None)
    refuse_others(run, own_data_dir(run.tree))
    refuse_other_manifests(run.tree)
    is_skipped = _MEMBER_PHASE in run.reset.skip_phases
    if not is_skipped:
        refuse_other_etcds(run.tree)
    if run.tree.is_file(manifest_path("etcd")) and not (is_skipped or run.abandon):
        raise Refused(
            f"{manifest_path('etcd')} is here, and phase {_MEMBER_PHASE} did not run: its member may be in the cluster's list, "
            "and would count for the quorum without its keys",
            state="nothing was changed",
            advice=f"{to_paste('quorate', 'reset', 'phase', _MEMBER_PHASE)} first; or, if the cluster is lost anyway: "
            "--abandon-etcd-member",
        )
    if run.tree.is_file(manifest_path("etcd")):
        remove = run.this_node.command("etcd", "remove", "NAME-OR-ID")
        text = (
            f"{manifest_path('etcd')} is here, and phase {_MEMBER_PHASE} did not run: its member stays in the list, and "
            f"counts for the quorum without its keys; remove it with '{remove}' on another node"
        )
        run.report(Notice(text, "warning"))
    elif is_skipped:
        _say_doubt(run)
    else:
        left = has_left(run.tree)
        if left is not None and not run.abandon and member_owner(real_path(run.tree, left.etcd.data_dir)) is not None:
            raise Refused(
                f"an earlier reset was cut off before it deleted the etcd data in {left.etcd.data_dir}",
                state="nothing was changed",
                advice=f"'{run.this_node.command('reset')}' goes on where it ended",
            )
        refuse_missed(run, left)


def refuse_others(run: ResetRun, data_dir: str) -> None:
    """Raises `Refused` where an etcd runs, other than that in `data_dir`, that a reset would end or take the files from."""
    try:
        going = doomed(run, data_dir)
    except HostError as error:
        # A data directory by a name that is followed by nobody, or a folder that cannot be read: what is there is unknown.
        raise Refused(error.what, state="nothing was changed", advice=error.own_advice or error.advice) from error
    refuse_running(run.tree, data_dir, going, folders(run))


def refuse_missed(run: ResetRun, left: Left | None) -> None:
    """Raises `Refused` where there is no manifest of etcd, and this node may have a member all the same: by its data, or by its
    key where the kubelet may take the manifest from a folder that no file tells. Without a key that is not asked: most nodes
    that a script starts have no member. `left`: the member of a note that is believed; another one may be here beside it.
    Reports what is left of the doubt."""
    _refuse_lost_manifest(run, left)
    doubt = doubt_without_manifest(run.tree, run.reset.certificates_dir)
    if doubt and not run.abandon and may_be_elsewhere(run.tree):
        raise Refused(
            f"{doubt}; and the kubelet may take that manifest from another folder: how it is started is known for certain only "
            "where kubelet.service is enabled, and starts its binary itself, with files that are all there",
            state="nothing was changed",
            advice=f"where no member of this node is listed: --skip-phases={_MEMBER_PHASE}, or, for a single phase, "
            "--abandon-etcd-member",
        )
    _say_doubt(run)


def _say_doubt(run: ResetRun) -> None:
    if doubt := doubt_without_manifest(run.tree, run.reset.certificates_dir):
        run.report(Notice(doubt, "warning"))


def _refuse_lost_manifest(run: ResetRun, left: Left | None) -> None:
    try:
        refuse_data_without_manifest(run.tree, run.reset.certificates_dir, left)
    except Refused as refused:
        if not run.abandon:
            refused.advice += "; or abandon the member, whose data stays: --abandon-etcd-member"
            raise
        run.report(Notice(f"{refused.what}: it is abandoned (--abandon-etcd-member), and its data stays", "warning"))
