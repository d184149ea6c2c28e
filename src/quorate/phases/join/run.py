"""A whole join: all phases in order, and the rollback of the node when one of them fails."""

from __future__ import annotations

from functools import partial

from quorate.errors import foreseen
from quorate.foreign.text import to_paste
from quorate.phases.base.runner import run_all, timed
from quorate.phases.join import etcd as etcd_join
from quorate.phases.join import undo as undo_join
from quorate.phases.join.state import JoinRun
from quorate.phases.join.steps import STEPS
from quorate.phases.join.tree import TREE
from quorate.phases.node import paths, run_marker
from quorate.phases.node.run_marker import Marker
from quorate.report import Notice


def carry_out(join: JoinRun) -> None:
    """Raises what the phase raised that failed; `state` then says what became of what the join made."""
    skipped = frozenset(join.join.skip_phases)
    checks, rest = TREE[:1], TREE[1:]
    around = partial(timed, join.base.clock, join.base.report)
    try:
        run_all(checks, STEPS, join, skipped & {"preflight"}, around)
        objects = _objects_there(join)
    except Exception as error:
        failure = foreseen(error)
        failure.state = failure.state or "nothing was changed"
        raise failure from failure.__cause__
    if join.base.dry_run:
        run_all(rest, STEPS, join, skipped - {"preflight"}, around)
        return
    context = join.context
    mark = run_marker.begin(context, "join", paths.may_be_made(context), objects)
    if mark.resumed:
        join.base.report(Notice("a join of this node was cut off here: resuming from what is there"))
    try:
        run_all(rest, STEPS, join, skipped - {"preflight"}, around)
    except BaseException as error:
        # Whatever it is: what nobody foresaw once left a learner, a kubelet and an etcd behind (security i13).
        failure = foreseen(error)
        failure.state = "; ".join(dict.fromkeys(filter(None, (failure.state, _after_failure(join, mark)))))
        raise failure from failure.__cause__
    run_marker.finish(join.context)
    join.whole_done = True


def _objects_there(join: JoinRun) -> list[str]:
    """A node object of somebody who had this name before: a join that fails must not delete it. A run that goes on has noted
    that when it began."""
    if join.base.dry_run or run_marker.is_resumed(join.base, "join"):
        return []
    with join.client() as client:
        node = client.find("Node", join.context.node.name)
    return [undo_join.node_object(join.context)] if node is not None else []


def _after_failure(join: JoinRun, mark: Marker) -> str:
    """Before its etcd has a vote everything can be rolled back; from then on only the same command leads on."""
    if join.keep_on_failure:
        return "everything was kept for a look, as asked"
    # After an interrupt, too: a look that is cut short would take every etcd for one that may have a vote.
    with join.base.clock.cancel.shielded():
        try:
            if etcd_join.vote_of(join) != "none":
                return (
                    "this node's etcd is a member of the cluster, or may be one: nothing was rolled back; "
                    "run the same command again to finish"
                )
            return undo_join.take_back(join, mark)
        except Exception as error:
            return f"what the join made may be there still ({foreseen(error).what}); run the same command again"


def closing_words(join: JoinRun) -> str:
    """kubeadm's first lines, which tools look for, then what to do next."""
    lines = [""]
    if not join.control_plane:
        lines += [
            "This node has joined the cluster:",
            "* Certificate signing request was sent to apiserver and a response was received.",
            "* The Kubelet was informed of the new secure connection details.",
            "",
            "Run 'kubectl get nodes' on the control-plane to see this node join the cluster.",
        ]
        return "\n".join(lines)
    lines += [
        "This node has joined the cluster and a new control plane instance was created:",
        "",
        "* Certificate signing request was sent to apiserver and approval was received.",
        "* The Kubelet was informed of the new secure connection details.",
        "* Control plane label and taint were applied to the new node.",
        "* The Kubernetes control plane instances scaled up.",
    ]
    if join.joined_etcd:
        lines.append("* A new etcd member was added to the local/stacked etcd cluster.")
    lines += ["", f"To use the cluster from this node:\n\n  export KUBECONFIG={to_paste(join.admin)}", ""]
    return "\n".join(lines)
