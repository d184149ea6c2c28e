"""What `etcd add|replace|remove --dry-run` print: the plan, and how many voters may fail afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.output import echo, emit

if TYPE_CHECKING:
    from quorate.core.finding import Finding
    from quorate.core.membership import ClusterView, Member
from quorate.cli.etcd.joiner import Joiner


@dataclass(frozen=True, slots=True)
class Swap:
    """The member that a join replaces, None for none, and whether it is removed before the join."""

    old: Member | None = None
    first: bool = False


PLAIN_ADD = Swap()


def say_add(joiner: Joiner, form: str, swap: Swap) -> None:
    """Prints the plan of a join with its findings; raises what the join itself would raise before its first change."""
    view, found = show_errors(joiner, form)
    if not swap.first and view.by_peer_urls((joiner.peer_url,)) is None:
        joiner.cluster.check_add(view, joiner.name, [joiner.peer_url])
    _show_plan(joiner, form, view, found, swap)


def show_errors(joiner: Joiner, form: str) -> tuple[ClusterView, list[Finding]]:
    """Returns the cluster and what the join is judged by. Raises `PreflightFailed` as the join would; a program gets the plan
    with its findings as well."""
    from quorate.core.finding import errors_of
    from quorate.core.view_findings import judge

    view, here = joiner.look()
    found = joiner.cluster.join_findings(view, joiner.name, joiner.peer_url, here)
    if errors_of(found):
        if form != "table":
            _show_plan(joiner, form, view, found, PLAIN_ADD)
        judge(found, joiner.cluster.report)
    return view, found


def _show_plan(joiner: Joiner, form: str, view: ClusterView, found: list[Finding], swap: Swap) -> None:
    from quorate.cli.common.cluster_output import afterwards_json, cluster_json, named_json, print_afterwards, print_margin
    from quorate.core.foresight import having_joined, having_left

    name, url, is_voter = joiner.name, joiner.peer_url, joiner.cluster.policy.ends_as == "voter"
    grown = having_joined(view, name, url) if is_voter else view
    later = having_left(grown, swap.old.id) if swap.old is not None else grown

    def table() -> None:
        echo(_plan_words(view, name, url) if is_voter else f"would add {name} at {url} as a learner, and keep it as a standby")
        if swap.old is not None:
            order = "before the join, because it is dead or a learner" if swap.first else "after the join, because it is alive"
            echo(f"would remove {swap.old.name or 'an unstarted member'} ({swap.old.id:x}) {order}")
        print_margin(view)
        print_afterwards(view, later)
        for finding in found:
            echo(f"{finding.level} {finding.name}: {finding.text}")
        echo(NOTHING_DONE)

    plan = {
        "add": {"name": name, "peerURL": url},
        "remove": named_json(swap.old) if swap.old else None,
        "findings": [one.as_dict() for one in found],
    }
    emit(form, "JoinPlan", {**plan, **afterwards_json(later), **cluster_json(view)}, table)


def _plan_words(view: ClusterView, name: str, url: str) -> str:
    known = view.by_peer_urls((url,))
    if known is None:
        return f"would add {name} at {url} as a learner, promote it once aligned, and verify it"
    if known.is_learner:
        return f"would continue with the learner {known.id:x} at {url}: start {name}, promote it once aligned, and verify it"
    return f"{name} ({known.id:x}) is a voter already: would verify that it serves"


def show_removal(view: ClusterView, form: str, gone: Member, label: str) -> None:
    """Prints the plan of a removal."""
    from quorate.cli.common.cluster_output import afterwards_json, cluster_json, named_json, print_afterwards, print_margin
    from quorate.core.foresight import having_left

    later = having_left(view, gone.id)

    def table() -> None:
        echo(f"would remove {label}")
        print_margin(view)
        print_afterwards(view, later)
        echo(NOTHING_DONE)

    emit(form, "RemovePlan", {"remove": named_json(gone), **afterwards_json(later), **cluster_json(view)}, table)
