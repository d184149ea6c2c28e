"""`quorate rejoin`: a control-plane node whose cluster was recovered on another one joins the new one, as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.kubeadm.node_of_pods import cri_socket_option, held_node, while_changing
from quorate.core.ids import format_id

if TYPE_CHECKING:
    from quorate.phases.rejoin.run import Judged, Rejoined

_ROOT = Path("/")


@command(ends=CHANGES)
@click.option(
    "--endpoints",
    default="",
    metavar="URLS",
    help="Client URLs of members of the new cluster.  [default: those that the API server knows]",
)
@cri_socket_option
@click.option("--dry-run", is_flag=True, help="Judge all of it; change nothing.")
@output_option()
def rejoin(endpoints: str, cri_socket: str, dry_run: bool, form: str) -> None:
    """Join this control-plane node to the cluster that 'quorate recover' has made on another one.

    Run it on each of the other control-plane nodes, also where etcd's disk was wiped. The static pods of etcd and of the API
    server are held; the data of the old member is kept under another name; etcd joins as a learner and becomes a voter, with
    the flags that its manifest had; then the API server starts. Killed at any time, the same command goes on.

    \b
    Examples:
      quorate rejoin --dry-run
      quorate rejoin --endpoints https://10.0.0.1:2379
    """
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel
    from quorate.phases.rejoin.run import judge_rejoin, rejoin_node

    urls = tuple(one.strip() for one in endpoints.split(",") if one.strip())
    cancel = Cancel()
    with cancelling(cancel), progress() as report:
        node = held_node(_ROOT, cri_socket, report, cancel)
        if dry_run:
            judged = judge_rejoin(node, urls)
        else:
            with while_changing(node, _ROOT, "rejoin"):
                done = rejoin_node(node, urls)
    if dry_run:
        emit(form, "NodeRejoin", {**judged.result().as_dict(), "dryRun": True}, lambda: _say_planned(judged))
    else:
        emit(form, "NodeRejoin", {**done.as_dict(), "dryRun": False}, lambda: _say(done))


def _say_planned(judged: Judged) -> None:
    new = judged.new
    made = f"{format_id(new.view.cluster_id)} at {new.url}, which was made of {format_id(new.old)}"
    echo(f"would join the cluster {made}, as a learner")
    if not judged.is_fenced:
        echo(f"would keep what the old member has in {judged.data_dir}, under another name")
    echo(NOTHING_DONE)


def _say(done: Rejoined) -> None:
    echo(f"{done.name} is a voter of the cluster {format_id(done.cluster_id)}, and the API server starts")
    if done.kept:
        echo(f"the old data is kept as {done.kept}")
