"""What an operator says of a recovery, of a directory or of a node, and what is said of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import files, folders
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo

if TYPE_CHECKING:
    from quorate.core.decide_recovery import RecoveryWish
    from quorate.recovery.judge_recovery import Judged
    from quorate.recovery.progress import Recovered
    from quorate.recovery.survivors import Fenced
    from quorate.recovery.unit_hold import UnitHold

unit_option = click.option("--unit", help="The systemd service of its etcd, without .service: held meanwhile, then started.")


def unit_to_hold(data_dir: Path, unit: str | None) -> UnitHold | None:
    """Returns the service that was named, or the one that a run which was killed has left held; None for neither."""
    from quorate.host.units import refuse_no_unit
    from quorate.recovery.unit_hold import UnitHold, held_for

    if unit is None:
        return held_for(data_dir)
    refuse_no_unit(unit)
    return UnitHold(unit, data_dir)


def with_unit(fields: dict[str, object], hold: UnitHold | None) -> dict[str, object]:
    """Returns the fields, with the service where one was held."""
    return {**fields, "unit": hold.service} if hold is not None else fields


NO_OLD_MEMBER = "no member of the old cluster may start again; the new one grows member by member, each a learner first"


@dataclass(frozen=True, slots=True)
class Said:
    """Who is gone, what is held, and by which programs it is done."""

    gone: tuple[str, ...]
    beside: tuple[Path, ...]
    fenced: tuple[Path, ...]
    cluster_id: str | None
    accept_loss: bool
    etcd: str | None
    etcdutl: str | None

    def folders(self) -> tuple[Path, ...]:
        return tuple(one.absolute() for one in self.beside)

    def files(self) -> tuple[Fenced, ...]:
        """Returns what other hosts' fences wrote. Raises `ConfigError`."""
        from quorate.recovery.survivors import read_fenced

        return tuple(map(read_fenced, self.fenced))

    def wish(self) -> RecoveryWish:
        from quorate.core.decide_recovery import RecoveryWish
        from quorate.core.ids import parse_id

        return RecoveryWish(cluster_id=parse_id(self.cluster_id) if self.cluster_id else 0, accept_loss=self.accept_loss)


recovery_options = packed(
    Said,
    "said",
    (
        click.option(
            "--gone",
            multiple=True,
            metavar="NAME-OR-ID",
            help="A member whose machine is off, and whose disk never comes back.",
        ),
        click.option(
            "--beside",
            multiple=True,
            type=click.Path(path_type=Path),
            shell_complete=folders,
            help="Another member's data, here.",
        ),
        click.option(
            "--fenced",
            multiple=True,
            type=click.Path(path_type=Path),
            shell_complete=files,
            help="What another host's fence wrote.",
        ),
        click.option("--cluster-id", metavar="HEX", help="The cluster that is meant; another one is refused."),
        click.option("--accept-loss", is_flag=True, help="Of writes that a survivor has which cannot be used."),
        click.option(
            "--etcd",
            shell_complete=files,
            help="An etcd of the survivor's minor version.  [default: of the node's pod, else found]",
        ),
        click.option(
            "--etcdutl", shell_complete=files, help="The etcdutl to build it with.  [default: from PATH, or beside etcd]"
        ),
    ),
)
"""Adds the options, and passes them to the command as `said`."""


def planned_fields(judged: Judged) -> dict[str, object]:
    from quorate.core.ids import format_id

    survivor = judged.decision.survivor
    return {
        "survivor": survivor.name,
        "clusterId": format_id(survivor.cluster_id),
        "lastTerm": survivor.last[0],
        "lastIndex": survivor.last[1],
        "gone": list(judged.gone),
        "lost": list(judged.decision.lost),
    }


def say_planned(name: str, judged: Judged) -> None:
    survivor = judged.decision.survivor
    echo(
        f"would make {name} the one voter of a new cluster, with all that {survivor.name} has: "
        f"up to entry {survivor.last[1]} of term {survivor.last[0]}"
    )
    if judged.gone:
        echo(f"because you say that these never come back: {', '.join(judged.gone)}")
    for one in judged.decision.lost:
        echo(f"known to be lost: {one}")
    echo(NOTHING_DONE)


def say_recovered(place: str, done: Recovered) -> None:
    echo(f"recovered {done.keys} keys to {place} of the new cluster {done.cluster_id:x}")
    echo(f"{done.applied} entries were in its log only: all are in it")
    if done.unknown:
        echo(f"{done.unknown} entries were not known to be committed: they are in it, too")
    for one in done.lost:
        echo(f"lost: {one}")
    echo(f"its revision jumped to {done.revision}: each client lists anew, and none has to be restarted")
    for one in done.kept:
        echo(f"the old data is kept as {one}")
