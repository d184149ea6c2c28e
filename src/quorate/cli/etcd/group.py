"""The command group `quorate etcd`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from quorate.cli.common import commands
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import emit, output_option
from quorate.cli.etcd.connection import CONNECTION, connection_options, left_to_etcdctl
from quorate.cli.etcd.opening import cluster_opened, waited_for

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView

_IN = "quorate.cli.etcd."
_LATER = {
    "add": (f"{_IN}change", "add", "Add the member NAME, as a learner first."),
    "adopt": (
        f"{_IN}queue",
        "adopt",
        "Take over as NAME the learner MEMBER (name, hex id or peer URL) that a dead run or another tool left.",
    ),
    "backup": (f"{_IN}backup", "backup", "Save the data of a cluster, and look after what was saved."),
    "fence": (
        f"{_IN}recover",
        "fence",
        "Hold the data of a lost cluster's member, so that no etcd starts on it; nothing is deleted.",
    ),
    "look": (f"{_IN}look", "look", "Look at a data directory of etcd, or at a snapshot, read only and without an etcd."),
    "member": (f"{_IN}member", "member", "List and change members with etcdctl's spelling, flags, defaults and output."),
    "move-leader": (f"{_IN}change", "move_leader", "Move leadership to the voter MEMBER."),
    "plan": (f"{_IN}plan", "plan", "Show the safe steps to the members of a file."),
    "promote": (f"{_IN}change", "promote", "Promote the learner MEMBER (name, hex id or peer URL)."),
    "recover": (
        f"{_IN}recover",
        "recover",
        "Make a cluster anew from the data of a survivor, when a majority of its members is lost.",
    ),
    "recovery": (
        f"{_IN}recovery",
        "recovery",
        "See how far a recovery came, go on with it, end it, and delete what it keeps.",
    ),
    "recovered": (
        f"{_IN}recover",
        "recovered",
        "Clean what the old cluster left in the one that 'recover' made in DATA_DIR, once its etcd serves.",
    ),
    "remove": (f"{_IN}change", "remove", "Remove MEMBER (name, hex id or peer URL)."),
    "replace": (f"{_IN}change", "replace", "Replace OLD with NEW."),
    "restore": (
        f"{_IN}restore",
        "restore",
        "Restore a backup to one voter of a new cluster; grow it afterwards with 'quorate etcd add'.",
    ),
    "snapshot": (f"{_IN}snapshot", "snapshot", "Save and restore single files, in the spelling of etcdctl and etcdutl."),
    "unfence": (
        f"{_IN}recover",
        "unfence",
        "Give data that was held its name back, where the old cluster is to live on after all.",
    ),
    "unlock": (f"{_IN}queue", "unlock", "Show pending joins and the lock for removals, or free those of WHICH."),
    "watch": (f"{_IN}watch", "watch", "Watch the cluster until Ctrl-C."),
}


@commands.group(
    "etcd",
    variables={
        "ETCDCTL_PASSWORD": "Password of the user that --user or ETCDCTL_USER names.",
        "XDG_STATE_HOME": "Base of the directory of the journal.  [default: ~/.local/state]",
    },
    foreign=left_to_etcdctl(),
    later=_LATER,
    hands_down=CONNECTION,
)
@connection_options
def group() -> None:
    """Inspect any etcd cluster and change its members safely.

    The connection flags and ETCDCTL_* variables are those of etcdctl. On a control-plane node they can be left out: the node's
    own etcd is asked then, with the certificates in /etc/kubernetes/pki/etcd.

    \b
    Examples:
      quorate etcd status --endpoints https://10.0.0.1:2379 --cacert ca.crt --cert client.crt --key client.key
      quorate etcd add node-d --peer-urls https://10.0.0.4:2380
    """


@group.command(ends=READS)
@connection_options
@output_option("table", "simple", "json", "yaml")
def members(form: str) -> None:
    """Print the member list, read through the quorum. Ids are hex strings in every format.

    Without a quorum it prints one member's own copy, which may be stale, and exits with code 1.

    \b
    Example:
      quorate etcd members -o yaml > want.yaml
    """
    from quorate.cli.common.cluster_output import show_members

    show_members(_observed(), form)


@group.command(ends=READS)
@connection_options
@click.option("--hash", "with_hash", is_flag=True, help="Also compare the data of the voters; this scans their whole stores.")
@output_option()
def status(form: str, with_hash: bool) -> None:
    """Print each member's state and how many may fail now. The state is role, health, version, database size and lag.

    Exits with code 1 when there is no quorum, and when --hash finds members whose data differs.

    \b
    Example:
      quorate etcd status -o json | jq .margin
    """
    from quorate.cli.common.cluster_output import cluster_json, print_status
    from quorate.core.membership import margin_of
    from quorate.errors import QuorateError
    from quorate.etcd.observation.detail import differ

    with cluster_opened() as cluster:
        view = cluster.with_standbys(cluster.status())
        detail = cluster.detail(view, with_hash=with_hash)
    differs = differ(detail.hashes)
    data = {**cluster_json(view, detail), **({"dataDiffers": differs} if with_hash else {})}
    emit(form, "ClusterStatus", data, lambda: print_status(view, detail))
    if margin_of(view) < 0:
        # As in 'health': a script that checks the exit code must not take a cluster that accepts no writes for healthy.
        raise click.exceptions.Exit(QuorateError.exit_code)
    if differs:
        raise QuorateError(
            "members that compacted up to the same revision have different data",
            state="nothing was changed",
            advice="run quorate etcd replace on the member whose HASH differs; see etcd's guide on data corruption",
        )


def _observed() -> ClusterView:
    from quorate.deadline import SystemClock
    from quorate.etcd.observation.look import LookTimeouts, observe

    clock = SystemClock()
    with waited_for(clock) as connection:
        patience = LookTimeouts(connection.timeout, min(connection.timeout, 2.0))
        view = observe(connection.access, connection.endpoints, clock, patience=patience)
        if not view.learners:
            return replace(view, standbys=frozenset())
        from quorate.etcd.coordination.standby_marks import with_standbys

        return with_standbys(connection.access, connection.endpoints, clock, view, seconds=patience.members)


@group.command(ends=(0, 1, 3, 5, 130))
@connection_options
@click.option("--write", is_flag=True, help="Also write a small key through every voter, and delete it.")
@output_option()
def health(write: bool, form: str) -> None:
    """Check that every member works. Reads through the quorum on voters, locally on learners.

    Exits with code 1 when a member does not.

    \b
    Examples:
      quorate etcd health
      quorate etcd health --write -o json
    """
    from quorate.cli.common.output import print_table
    from quorate.errors import QuorateError

    with cluster_opened() as cluster:
        found = cluster.health(write=write)

    def took(seconds: float | None) -> str:
        return "" if seconds is None else f"{seconds * 1000:.1f} ms"

    def table() -> None:
        rows = [
            (f"{one.member.id:x}", one.member.name or "(unstarted)", one.reason or "healthy", took(one.seconds))
            for one in found
        ]
        print_table(("ID", "NAME", "HEALTH", "TOOK"), rows)

    emit(form, "HealthReport", {"members": [one.as_dict() for one in found]}, table)
    if not all(one.healthy for one in found):
        raise click.exceptions.Exit(QuorateError.exit_code)
