"""`quorate autopilot policy get|set`: how many voters and standbys it keeps, and when a voter is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.autopilot.meant import HANDED_DOWN, cluster_meant, cluster_options, group_options, read_view, records_of
from quorate.cli.common import commands
from quorate.cli.common.commands import command
from quorate.cli.common.completion import files
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import document, echo, emit, output_option
from quorate.errors import QuorateError

if TYPE_CHECKING:
    from quorate.core.autopilot.policy import Flaw, Policy

_MOST_BYTES = 1 << 16


@commands.group("policy", hands_down=HANDED_DOWN)
@group_options
def group() -> None:
    """Show and set how many voters and standbys it keeps, and when a voter is lost.

    \b
    Examples:
      quorate autopilot policy get > policy.yaml
      quorate autopilot policy set policy.yaml
    """


@command("get", ends=READS)
@cluster_options
@output_option("yaml", "json")
def get(folder: Path | None, form: str) -> None:
    """Print the policy: that in etcd, or the one that would be used without one.

    \b
    Example:
      quorate autopilot policy get > policy.yaml
    """
    import yaml

    from quorate.config.policy_document import document_of
    from quorate.etcd.autopilot.loop import default_policy

    with cluster_meant(folder) as cluster:
        view = read_view(cluster)
        orders = records_of(cluster, view).read()
        if orders.troubles:
            # The policy of now would be printed as that of a cluster for which none was set.
            raise QuorateError(
                f"the autopilot's records cannot be read: {'; '.join(orders.troubles)}",
                state="nothing was changed",
                advice="mend or delete what is named; 'quorate autopilot status' says when it can be read again",
            )
        policy = orders.policy or default_policy(view, orders.standbys)
    made = document_of(policy)
    if form == "json":
        emit(form, "AutopilotPolicy", {"generation": orders.generation, "policy": made}, lambda: None)
        return
    document(yaml.safe_dump(made, sort_keys=False))


@command("set")
@click.argument("file", type=click.Path(path_type=Path), shell_complete=files)
@cluster_options
@output_option()
def set_policy(file: Path, folder: Path | None, form: str) -> None:
    """Write the policy of FILE (- for standard input) to etcd, where every instance reads it at its next look.

    Every problem is named with its line and path, and then nothing is written: also what does not fit this cluster, where it
    can be asked. What differs from the policy of before is printed.

    \b
    Example:
      quorate autopilot policy set policy.yaml
    """
    from quorate.config.policy_document import document_of, read_policy
    from quorate.core.autopilot.fit import cautions, misfits
    from quorate.etcd.autopilot.loop import default_policy
    from quorate.etcd.coordination.autopilot_records import changed_fields
    from quorate.etcd.membership.first_step import agreed
    from quorate.foreign.local_files import read_at_most, shown
    from quorate.report import Notice

    text = read_policy(read_at_most(file, _MOST_BYTES), shown(file))
    if text.problems:
        text.refuse(_misfits_seen(text.policy, folder))
    with cluster_meant(folder) as cluster:
        view = agreed(cluster.look())
        store = records_of(cluster, view)
        text.refuse(misfits(text.policy, view, store.read().policy))
        warnings = cautions(text.policy, view)
        for warning in warnings:
            cluster.report(Notice(warning, "warning"))
        generation, changed = store.set_policy(text.policy, lambda orders: default_policy(view, orders.standbys))

    def table() -> None:
        echo(f"the policy is set; it is number {generation}")
        for path, before, after in changed:
            echo(f"{path}: {before or 'none'} -> {after or 'none'}")
        if not changed:
            echo("it says what was followed before")

    fields = {"policy": document_of(text.policy), "changed": changed_fields(changed), "warnings": warnings}
    emit(form, "AutopilotPolicy", {"generation": generation, **fields}, table)


def _misfits_seen(policy: Policy, folder: Path | None) -> list[Flaw]:
    """Returns what does not fit the cluster either, so that who corrects the file does it once; nothing where the cluster
    cannot be asked: that the file is wrong is known without it."""
    from quorate.core.autopilot.fit import misfits
    from quorate.errors import Interrupted

    try:
        with cluster_meant(folder) as cluster:
            view = cluster.look()
    except Interrupted:
        raise
    except QuorateError:
        return []
    return misfits(policy, view) if view.linearizable else []


group.add_command(get)
group.add_command(set_policy)
