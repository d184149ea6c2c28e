"""`quorate etcd backup run`: saves and prunes until it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.output import emit_document, emit_event, enveloped, output_option, size
from quorate.cli.etcd.backup_place import identity_option, opener, place_argument, store_at, work_option
from quorate.cli.etcd.backup_save import Packed, how_stored, packing_options
from quorate.cli.etcd.backup_unit import every_option, keep_option, refuse_short
from quorate.cli.etcd.connection import connected, connection_options
from quorate.errors import Interrupted

if TYPE_CHECKING:
    from quorate.backup.schedule import Round
    from quorate.report import Report

_MOST_AGE_SECONDS = 48 * 3600.0


@command(ends=CHANGES)
@place_argument
@every_option
@keep_option
@packing_options
@identity_option
@work_option
@connection_options
@output_option()
@click.pass_context
def run(
    ctx: click.Context,
    /,
    place: str,
    every: float,
    rule: str,
    packing: Packed,
    identity: Path | None,
    work: Path,
    form: str,
) -> None:
    """Save a backup in DIR in each period, and prune what no keep rule keeps, until Ctrl-C.

    For a pod ('quorate etcd backup manifest'); on a host a timer of systemd is simpler ('quorate etcd backup timer'). It tries
    four times in a period: several hosts may run it with one DIR, one of them saves, and where that fails another one does.
    What it does is a log on stderr, in UTC; it goes on where a round fails, and 'quorate etcd backup status' shows how old the
    newest backup is.

    \b
    Example:
      quorate etcd backup run /mnt/backups --every 6h --keep 24h,7d,4w
    """
    from quorate.backup.prune import Pruner
    from quorate.backup.schedule import Job, Period, rounds
    from quorate.cli.common.progress import dated_lines
    from quorate.cli.common.signals import cancelling
    from quorate.core.retention import Keep
    from quorate.deadline import Cancel, SystemClock
    from quorate.etcd.cluster import Cluster
    from quorate.host.facts import hostname
    from quorate.report import Notice

    refuse_short(every)
    cancel = Cancel()
    clock = SystemClock(cancel)
    keep, most_age = Keep.parse(rule), max(_MOST_AGE_SECONDS, 2 * every)
    pruner = Pruner(store_at(place, work, clock), keep, most_age, opener(identity, work), clock, dated_lines)
    job = Job(Period(every, hostname()), lambda: how_stored(packing, work), pruner)
    # Options that can never work end the command at once.
    job.how()

    def one_round() -> Round:
        # Anew each time: certificates are renewed, and members move.
        with connected(cancel) as connection:
            return job.round(Cluster(connection.access, connection.endpoints, clock, dated_lines))

    try:
        with cancelling(cancel, "a backup that has begun is not kept"):
            for done in rounds(one_round, every, clock, dated_lines):
                _show(done, form, dated_lines)
    except (Interrupted, KeyboardInterrupt):
        dated_lines(Notice("stopped: no backup is saved from here any more"))
        ctx.exit(Interrupted.exit_code)


def _show(done: Round, form: str, report: Report) -> None:
    from quorate.report import Notice

    if form != "table":
        row = enveloped("EtcdBackupRound", done.as_dict())
        emit_event(row) if form == "json" else emit_document(row)
    if done.saved is not None:
        quorum = "" if done.saved.through_quorum else "; no quorum answered: it may lack writes"
        report(Notice(f"saved {done.saved.id}: {done.saved.keys} keys, {size(done.saved.blob.size)}{quorum}"))
    if done.claimed_by:
        report(Notice(f"nothing to do: {done.claimed_by} has this period"))
    if done.deleted:
        report(Notice(f"deleted {', '.join(done.deleted)}"))
