"""`quorate local join NAME --standby`: a learner that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.common.output import echo, emit
from quorate.cli.local.opening import layout_of, opened
from quorate.errors import UsageProblem

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView
    from quorate.local.cluster import GrowResult
    from quorate.local.home import Home


def with_standbys(home: Home, view: ClusterView) -> ClusterView:
    """Returns what a look showed, with the learners that are standbys."""
    if not view.learners:
        return replace(view, standbys=frozenset())
    from quorate.etcd.coordination import standby_marks

    with home.access() as access:
        return standby_marks.with_standbys(access, home.seeds(), home.clock, view, seconds=2.0)


def with_standbys_named(home: Home, grown: GrowResult) -> GrowResult:
    """Returns the result of a change, with the learners that are standbys."""
    return replace(grown, view=with_standbys(home, grown.view))


def join_standby(name: str | None, etcd: str | None, folder: Path | None, form: str, *, occupies: bool) -> None:
    """Adds the standby, and prints the members."""
    from quorate.cli.common.cluster_output import cluster_json, print_margin, print_members
    from quorate.local.standby import join_as_standby

    if name is None:
        raise UsageProblem("a standby needs a name", advice=f"quorate local join s1 --standby {layout_of(folder).option}")
    with opened(folder) as home:
        joined = join_as_standby(home, name, etcd, occupy_the_seat=occupies)
        view = with_standbys(home, home.look())

    def table() -> None:
        print_members(view)
        print_margin(view)
        echo(f"{name} is kept as a standby: it has all data, and no vote")

    emit(form, "JoinResult", {"joined": [joined.as_dict()], **cluster_json(view)}, table)
