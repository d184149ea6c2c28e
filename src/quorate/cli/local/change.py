"""`quorate etcd add|replace --dir`: the same verbs on a local cluster, where a new member needs no other option."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.output import echo, emit
from quorate.cli.local.opening import opened

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView, Member
    from quorate.etcd.observation.write_probe import WriteGap
    from quorate.local.cluster import GrowResult
    from quorate.local.home import Home


@dataclass(frozen=True, slots=True)
class Add:
    name: str


@dataclass(frozen=True, slots=True)
class Replace:
    old: str
    new: str
    accept_reduced_tolerance: bool


Change: TypeAlias = Add | Replace


def local_change(folder: Path, change: Change, form: str, *, dry_run: bool) -> None:
    """Carries out the change while a probe writes to the cluster, and prints the result."""
    from quorate.local import cluster

    with opened(folder) as home:
        if dry_run:
            _say(home, change, form)
            return
        with home.probe() as probe:
            match change:
                case Add(name=name):
                    grown = cluster.join(home, name)
                case Replace(old=old, new=new, accept_reduced_tolerance=consent):
                    grown = cluster.replace_member(home, old, new, accept_reduced_tolerance=consent)
    _show(grown, form, probe.gap)


def _say(home: Home, change: Change, form: str) -> None:
    from quorate.cli.common.cluster_output import cluster_json, print_margin

    view = home.look()
    match change:
        case Add(name=name):
            new, gone = name, None
            _check_new(home, name, len(view.voters))
            text = f"would add {name} as a learner, promote it once aligned, and verify it"
        case Replace(old=old, new=new):
            gone = _check_replace(home, change, view)
            text = f"would add {new} as a learner, promote it, {_removal(old, gone)}"

    def table() -> None:
        echo(text)
        print_margin(view)
        echo(NOTHING_DONE)

    removal = {"id": f"{gone.id:x}", "name": gone.name} if gone else None
    plan: dict[str, object] = {"add": {"name": new, "peerURL": None}, "remove": removal, "findings": []}
    emit(form, "JoinPlan", {**plan, **cluster_json(view)}, table)


def _removal(old: str, gone: Member | None) -> str:
    return f"move leadership away from {old}, and remove {old}" if gone else f"and remove nothing: {old} is gone already"


def _check_new(home: Home, name: str, voters: int) -> None:
    from quorate.local import cluster, size

    cluster.check_new(home.load(), name)
    size.check_room(home, voters)


def _check_replace(home: Home, change: Replace, view: ClusterView) -> Member | None:
    """Raises what the replacement would raise before its first change. Returns the old member; None when an earlier run removed
    it."""
    from quorate.local import replacement
    from quorate.local.rows import row_of

    old, new, voters = change.old, change.new, len(view.voters)
    members = {member.name: member for member in home.load().members}
    replacement.refuse_nobody(home, old, new)
    alive = old in members and home.daemon(old).identity() is not None
    if alive:
        replacement.check(home, old, new, accept_reduced_tolerance=change.accept_reduced_tolerance)
    if new not in members or members[new].phase != "member":
        _check_new(home, new, voters if alive or old not in members else voters - 1)
    return row_of(home, view, members[old]) if old in members else None


def _show(grown: GrowResult, form: str, gap: WriteGap) -> None:
    from quorate.cli.common.cluster_output import cluster_json, gap_json, print_gap, print_margin, print_members

    def table() -> None:
        print_members(grown.view)
        print_margin(grown.view)
        print_gap(gap)

    emit(
        form,
        "JoinResult",
        {"joined": [one.as_dict() for one in grown.joined], **gap_json(gap), **cluster_json(grown.view)},
        table,
    )
