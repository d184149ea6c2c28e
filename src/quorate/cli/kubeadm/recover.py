"""`quorate recover`: a control-plane node whose etcd lost its majority is made the first of a new cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.common.recovery import NO_OLD_MEMBER, Said, planned_fields, recovery_options, say_planned, say_recovered
from quorate.cli.kubeadm.node_of_pods import cri_socket_option, held_node, while_changing

if TYPE_CHECKING:
    from quorate.phases.recover.holding import HeldNode
    from quorate.phases.recover.run import NodeRecovery

_ROOT = Path("/")


@command(ends=CHANGES)
@recovery_options
@cri_socket_option
@click.option("--dry-run", is_flag=True, help="Judge all of it; change nothing.")
@output_option()
def recover(said: Said, cri_socket: str, dry_run: bool, form: str) -> None:
    """Make the control plane anew from this node, when a majority of its etcd members is lost.

    Run it on the node whose etcd has the newest log ('quorate etcd look /var/lib/etcd' on each). Each other member is held
    (--fenced, by 'quorate etcd fence' there), or said to be gone for good (--gone). The static pods of etcd and of the API
    server are held; this node's own etcd applies its whole log, so that no write is lost that it had; the result is one voter
    of a new cluster, on which both start again. Killed at any time, the same command goes on. On each other node follows
    'quorate rejoin'.

    \b
    Examples:
      quorate recover --gone cp2 --gone cp3 --dry-run
      quorate recover --gone cp2 --fenced cp3.json
    """
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel
    from quorate.phases.recover.run import judge_node, own_etcd, recover_node

    cancel = Cancel()
    with cancelling(cancel), progress() as report:
        run = _run_of(said, held_node(_ROOT, cri_socket, report, cancel))
        etcd = own_etcd(run.tree)
        if dry_run:
            judged = judge_node(run)
        else:
            with while_changing(run.node, _ROOT, "recover"):
                done = recover_node(run)

    def say() -> None:
        say_recovered(f"{etcd.data_dir}: the one voter {etcd.name}", done)
        echo("etcd serves, and the API server starts: kubectl get nodes --kubeconfig /etc/kubernetes/admin.conf")
        echo("the autopilot is paused until you resume it: quorate autopilot resume")
        echo(
            "on each other control-plane node: 'quorate rejoin'; on a new host, or one without /etc/kubernetes: 'quorate join'"
        )
        echo(NO_OLD_MEMBER)

    if dry_run:
        emit(form, "EtcdRecoveryPlan", planned_fields(judged), lambda: say_planned(etcd.name, judged))
    else:
        emit(form, "EtcdRecovery", done.as_dict(), say)


def _run_of(said: Said, node: HeldNode) -> NodeRecovery:
    from quorate.phases.recover.run import NodeRecovery

    return NodeRecovery(node, said.gone, said.folders(), said.files(), said.wish(), said.etcd, said.etcdutl)
