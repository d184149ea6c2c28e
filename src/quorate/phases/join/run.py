"""A whole join: all phases in order, and the rollback of the node when one of them fails; or one phase alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from quorate.errors import foreseen
from quorate.foreign.text import to_paste
from quorate.phases.base.runner import check_skipped, run_all, run_one, timed
from quorate.phases.join import checks
from quorate.phases.join import etcd as etcd_join
from quorate.phases.join import undo as undo_join
from quorate.phases.join.found_cluster import find_cluster
from quorate.phases.join.prepared_join import PreparedJoin, prepare
from quorate.phases.join.request import JoinAccount, JoinRequest
from quorate.phases.join.steps import STEPS
from quorate.phases.join.tree import PREFLIGHT, TREE
from quorate.phases.node import paths, run_marker
from quorate.phases.node.run_marker import Marker
from quorate.report import Notice


def carry_out(request: JoinRequest) -> JoinAccount:
    """Runs the checks, writes the marker of what was here before, and runs every other phase. Re-raises the failing phase's
    error; its `state` then says whether the join was rolled back."""
    base, skipped = request.context, frozenset(request.config.skip_phases)
    check_skipped(TREE, skipped)
    account = JoinAccount()
    if {phase.name for phase in TREE} <= skipped:
        return account
    was_resumed = run_marker.is_resumed(base, "join")
    try:
        join = _prepared(request, account, skipped)
        objects = _objects_there(join)
    except Exception as error:
        failure = foreseen(error)
        failure.state = failure.state or "nothing was changed"
        raise failure from failure.__cause__
    if base.dry_run:
        _run_rest(join, skipped)
        return account
    may_be_made = paths.may_be_made(join.context)
    mark = run_marker.begin(join.context, "join", may_be_made, objects, checked_as_resumed=was_resumed)
    if mark.resumed:
        base.report(Notice("an earlier join of this node was cut off: resuming from its files"))
    noted, mark_now = run_marker.noting(join.context, mark)
    join = replace(join, context=noted)
    try:
        _run_rest(join, skipped)
    except BaseException as error:
        # Every exception: an unforeseen one once left a learner, a kubelet and an etcd behind (security i13).
        failure = foreseen(error)
        failure.state = "; ".join(dict.fromkeys(filter(None, (failure.state, _after_failure(join, mark_now())))))
        raise failure from failure.__cause__
    run_marker.finish(join.context)
    account.finished = True
    return account


def carry_out_phase(request: JoinRequest, path: str) -> JoinAccount:
    """Runs one phase by its own command. Asks the cluster first, where the phase needs to know anything of it."""
    account = JoinAccount()
    with timed(request.context.clock, request.context.report, path.rpartition("/")[2]):
        if path == PREFLIGHT:
            checks.run(request, account)
        elif _needs_the_cluster(request, path):
            run_one(TREE, STEPS, path, _asked(request, account))
    return account


def _needs_the_cluster(request: JoinRequest, path: str) -> bool:
    """Returns False for phases that do nothing: those of a control plane on a worker, one that older versions had, and a
    download without the key that would open it."""
    control_plane = request.config.control_plane
    if control_plane is None:
        return path.startswith("kubelet-")
    if path == "control-plane-prepare/download-certs":
        return bool(control_plane.certificate_key)
    return path != "control-plane-join/update-status"


def _prepared(request: JoinRequest, account: JoinAccount, skipped: Collection[str]) -> PreparedJoin:
    if PREFLIGHT in skipped:
        return _asked(request, account)
    with timed(request.context.clock, request.context.report, PREFLIGHT):
        return checks.run(request, account)


def _asked(request: JoinRequest, account: JoinAccount) -> PreparedJoin:
    cluster = find_cluster(request)
    with cluster.client() as client:
        return prepare(cluster, client, account)


def _run_rest(join: PreparedJoin, skipped: Collection[str]) -> None:
    around = partial(timed, join.context.clock, join.context.report)
    run_all(TREE[1:], STEPS, join, frozenset(skipped) - {PREFLIGHT}, around)


def _objects_there(join: PreparedJoin) -> list[str]:
    """Returns the node object if the name was in use before this join: a join that fails must not delete it. A resumed run
    noted the object when it began, so nothing is asked again."""
    if join.context.dry_run or run_marker.is_resumed(join.context, "join"):
        return []
    with join.cluster.client() as client:
        node = client.find("Node", join.context.node.name)
    return [undo_join.node_object(join.context)] if node is not None else []


def _after_failure(join: PreparedJoin, mark: Marker) -> str:
    """Rolls the join back unless its etcd has a vote, or may have one: then only the same command can finish it. Returns the
    state in words."""
    if join.request.keep_on_failure:
        return "nothing was rolled back (--keep-on-failure)"
    # Shielded, also after an interrupt: a look that is cut short reports that every etcd may have a vote.
    with join.context.clock.cancel.shielded():
        try:
            # What is deleted later is what is here now: the question takes time.
            made = undo_join.look(join, mark)
            if etcd_join.vote_of(join) != "none":
                return (
                    "this node's etcd is a member of the cluster, or may be one: nothing was rolled back; "
                    "run the same command again to finish"
                )
            return undo_join.take_back(join, made)
        except Exception as error:
            return f"what the join made may still exist ({foreseen(error).what}); run the same command again"


def closing_words(request: JoinRequest, account: JoinAccount) -> str:
    """Returns kubeadm's first lines, which tools look for, then the next step."""
    lines = [""]
    if not request.control_plane:
        lines += [
            "This node has joined the cluster:",
            "* Certificate signing request was sent to apiserver and a response was received.",
            "* The Kubelet was informed of the new secure connection details.",
            "",
            "Run 'kubectl get nodes' on the control-plane to see this node join the cluster.",
        ]
        return "\n".join(lines)
    if request.is_standby:
        run = request.context.this_node.command("autopilot", "unit", "--stacked")
        return "\n".join(
            [
                "",
                "This node has joined the cluster as a standby of its control plane:",
                "",
                "* Its etcd has all data, and no vote.",
                "* Its API server, controller manager and scheduler are held back until its etcd is a voter.",
                "",
                "An instance of the autopilot has to run on it, which starts them then:",
                "",
                f"  {run} > /etc/systemd/system/quorate-autopilot.service",
                "  systemctl daemon-reload && systemctl enable --now quorate-autopilot",
                "",
            ]
        )
    lines += [
        "This node has joined the cluster and a new control plane instance was created:",
        "",
        "* Certificate signing request was sent to apiserver and approval was received.",
        "* The Kubelet was informed of the new secure connection details.",
        "* Control plane label and taint were applied to the new node.",
        "* The Kubernetes control plane instances scaled up.",
    ]
    if account.joined_etcd:
        lines.append("* A new etcd member was added to the local/stacked etcd cluster.")
    lines += ["", f"To use the cluster from this node:\n\n  export KUBECONFIG={to_paste(request.admin)}", ""]
    return "\n".join(lines)
