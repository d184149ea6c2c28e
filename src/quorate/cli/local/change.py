"""`quorate etcd add|replace --dir`: the same verbs on a local cluster, where a new member needs no other option."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.output import echo, emit
from quorate.cli.local.opening import opened
from quorate.cli.local.standby import with_standbys, with_standbys_named

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
        grown = with_standbys_named(home, grown)
    _show(grown, form, probe.gap)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a run would do now: its steps in their order. `new` joins, or has joined; `gone` leaves."""

    new: str
    gone: Member | None
    steps: tuple[str, ...]


def _say(home: Home, change: Change, form: str) -> None:
    """Prints the plan. Raises what the run would raise before its first change: it is asked for the same decisions."""
    from quorate.cli.common.cluster_output import afterwards_json, cluster_json, print_afterwards, print_margin
    from quorate.core.foresight import having_joined, having_left

    view = with_standbys(home, home.look())
    plan = _plan_of_add(home, change.name, view) if isinstance(change, Add) else _plan_of_replacement(home, change, view)
    known = next((member.peer_url for member in home.load().members if member.name == plan.new), "")
    grown = having_joined(view, plan.new, known)
    later = having_left(grown, plan.gone.id) if plan.gone else grown

    def table() -> None:
        for number, step in enumerate(plan.steps, 1):
            echo(f"would {step}" if len(plan.steps) == 1 else f"{number}. would {step}")
        print_margin(view)
        print_afterwards(view, later)
        echo(NOTHING_DONE)

    removal = {"id": f"{plan.gone.id:x}", "name": plan.gone.name} if plan.gone else None
    shown: dict[str, object] = {"add": {"name": plan.new, "peerURL": known or None}, "remove": removal, "findings": []}
    emit(form, "JoinPlan", {**shown, **afterwards_json(later), **cluster_json(view)}, table)


def _plan_of_add(home: Home, name: str, view: ClusterView) -> _Plan:
    starts = _check_join(home, name, len(view.voters))
    return _Plan(name, None, (*_started(starts), _joined(name)))


def _plan_of_replacement(home: Home, change: Replace, view: ClusterView) -> _Plan:
    from quorate.local import cluster, removal, replacement
    from quorate.local.rows import row_of

    old, new = change.old, change.new
    if not replacement.has_joined(home, new):
        cluster.check_new(home.load(), new)
    replacement.refuse_nobody(home, old, new)
    order = replacement.order_of(home, old)
    if order == "join first":
        replacement.check(home, old, new, accept_reduced_tolerance=change.accept_reduced_tolerance)
    elif order == "remove first":
        removal.check(home, old, accept_reduced_tolerance=change.accept_reduced_tolerance)
    gone = row_of(home, view, home.load().member(old)) if order != "join only" else None
    leaves = order == "remove first"
    joins: tuple[str, ...] = (f"verify {new}, which has joined",)
    if not replacement.has_joined(home, new):
        starts = _check_join(home, new, len(view.voters) - leaves, leaves=old if leaves else "")
        joins = (*_started(starts), _joined(new))
    match order:
        case "join first":
            return _Plan(new, gone, (*joins, f"move leadership away from {old} if it leads, and remove {old}"))
        case "remove first":
            return _Plan(new, gone, (f"remove {old}, because it does not run", *joins))
        case "join only":
            return _Plan(new, None, (*joins, f"remove nothing: {old} is gone already"))


def _check_join(home: Home, name: str, voters: int, *, leaves: str = "") -> tuple[str, ...]:
    """Raises what a join would raise before its first change; returns the members that it would start first."""
    from quorate.local import cluster, size
    from quorate.local.start import check_start

    cluster.check_new(home.load(), name)
    size.check_room(home, voters)
    return tuple(check_start(home, leaves=leaves))


def _started(names: tuple[str, ...]) -> tuple[str, ...]:
    which = "which does not run" if len(names) == 1 else "which do not run"
    return (f"start {', '.join(names)}, {which}",) if names else ()


def _joined(name: str) -> str:
    return f"add {name} as a learner, promote it once aligned, and verify it"


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
