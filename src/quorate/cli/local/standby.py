"""`quorate local join NAME --standby`: a learner that is kept."""

from __future__ import annotations

from pathlib import Path

from quorate.cli.common.output import echo, emit
from quorate.cli.local.opening import layout_of, opened
from quorate.errors import UsageProblem


def join_standby(name: str | None, etcd: str | None, folder: Path | None, form: str, *, occupies: bool) -> None:
    """Adds the standby, and prints the members."""
    from quorate.cli.common.cluster_output import cluster_json, print_margin, print_members
    from quorate.local.standby import join_as_standby

    if name is None:
        raise UsageProblem("a standby needs a name", advice=f"quorate local join s1 --standby {layout_of(folder).option}")
    with opened(folder) as home:
        joined = join_as_standby(home, name, etcd, occupy_the_seat=occupies)
        view = home.look()

    def table() -> None:
        print_members(view)
        print_margin(view)
        echo(f"{name} is kept as a standby: it has all data, and no vote")

    emit(form, "JoinResult", {"joined": [joined.as_dict()], **cluster_json(view)}, table)
