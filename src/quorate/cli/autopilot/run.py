"""`quorate autopilot run`: the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.autopilot.advice import advised, decision_fields
from quorate.cli.autopilot.meant import cluster_options, watched_cluster
from quorate.cli.autopilot.on_node import mean_own_node, own_node, stacked_option
from quorate.cli.autopilot.serve import Served, Shows, serve_options
from quorate.cli.common.commands import command
from quorate.cli.common.completion import files
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.durations import DURATION
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.output import echo, emit, emit_document, emit_event, enveloped, output_option
from quorate.errors import HostError, Interrupted, QuorateError

if TYPE_CHECKING:
    from quorate.etcd.autopilot.loop import Autopilot, Round
    from quorate.host.standby_program import StandbyProgram


@command(ends=CHANGES)
@click.option("--once", is_flag=True, help="Take one look, do what is due, and end. No voter is proved lost: that takes time.")
@click.option("--dry-run", is_flag=True, help="Decide and say so; change nothing.")
@click.option(
    "--provide",
    type=click.Path(path_type=Path),
    metavar="PROGRAM",
    help="Program that adds a standby; run when one is missing.",
    shell_complete=files,
)
@click.option(
    "--provide-timeout", type=DURATION, default="15m", show_default=True, help="Time after which that program is ended."
)
@stacked_option
@serve_options
@cluster_options
@output_option()
@click.pass_context
def run(
    ctx: click.Context,
    /,
    once: bool,
    dry_run: bool,
    provide: Path | None,
    provide_timeout: float,
    stacked: bool,
    served: Served,
    folder: Path | None,
    form: str,
) -> None:
    """Watch the cluster, promote learners and replace lost voters until Ctrl-C.

    It looks once a second and does at most one thing at a time. Several instances may run: one acts, the others take over when
    it is gone. The policy is kept in etcd ('quorate autopilot policy'); without one, the number of voters of now is kept.

    What it watches and decides is a log on stderr, in UTC: each decision once, and a wait every 30 seconds. Without a quorum it
    keeps what it read last, and says how old that is; --once then exits with code 1.

    With --stacked on a node of 'quorate join --standby', the components held back there are started once its etcd has its
    vote; without an instance there that standby replaces nobody.

    PROGRAM gets QUORATE_ENDPOINTS, QUORATE_CLUSTER_ID and QUORATE_WHY, and ends with 0 once its standby is added, by
    'quorate etcd add NAME --standby' on the new host.

    \b
    Examples:
      quorate autopilot run --dir ./try
      quorate autopilot run --once --dry-run -o json
      quorate autopilot run --listen 127.0.0.1:9382 --provide /usr/local/sbin/new-standby
    """
    from quorate.cli.common.progress import dated_lines
    from quorate.etcd.autopilot.decision_log import DecisionLog
    from quorate.etcd.autopilot.loop import Autopilot
    from quorate.etcd.autopilot.permissions import check_rights
    from quorate.host.standby_program import StandbyProgram
    from quorate.report import Notice

    if stacked:
        mean_own_node(folder)
    with watched_cluster(folder, dated_lines) as cluster:
        maker = StandbyProgram(provide, cluster.clock, provide_timeout) if provide is not None else None
        own = own_node(cluster.clock, cluster.report) if stacked else None
        pilot = Autopilot(cluster, acting=not dry_run, maker=maker, own=own)
        try:
            check_rights(cluster, changes=not dry_run)
            if once:
                _show_one(pilot, form, folder, maker, dry_run=dry_run)
                return
            pilot.tell = DecisionLog(cluster.report, cluster.clock, partial(advised, folder=folder))
            with served.serving(cluster.clock, cluster.report) as pages:
                shown: list[Shows] = [_Shown(pilot, form, folder), *([pages] if pages is not None else [])]
                pilot.rounds(lambda decided: _show_all(shown, decided))
        except (Interrupted, KeyboardInterrupt):
            # Ctrl-C and SIGTERM are how a daemon ends: that is no failure.
            acts = "acts" if pilot.has_acted else "watches"
            cluster.report(Notice(f"stopped: this instance {acts} no more"))
            ctx.exit(Interrupted.exit_code)
        finally:
            if maker is not None:
                maker.end()


def _show_all(shown: Sequence[Shows], decided: Round) -> None:
    for one in shown:
        one.show(decided)


def _fields(decided: Round, pilot: Autopilot, folder: Path | None) -> dict[str, object]:
    return {**decided.as_dict(pilot.cluster.clock.wall()), **decision_fields(decided.next, folder)}


def _show_one(pilot: Autopilot, form: str, folder: Path | None, maker: StandbyProgram | None, *, dry_run: bool) -> None:
    try:
        decided = pilot.round()
        made = _awaited(maker, pilot) if maker is not None and decided.acts and decided.next.rule == "provide" else ""
    finally:
        pilot.leave()

    def table() -> None:
        echo(f"{decided.next.rule}: {advised(decided.next, folder)}")
        if dry_run:
            echo(NOTHING_DONE)

    emit(form, "AutopilotDecision", _fields(decided, pilot, folder), table)
    if made or decided.failed:
        raise HostError(f"{decided.next.rule}: {made or decided.failed}", state="nothing more was done")
    if decided.orders is None or decided.orders.troubles:
        # Nothing was decided on: a script must not take that for a quiet cluster.
        raise click.exceptions.Exit(QuorateError.exit_code)


def _awaited(maker: StandbyProgram, pilot: Autopilot) -> str:
    """Waits until the program that makes a standby has ended; returns why that counts as failed. Without a next look nobody
    else would say so."""
    clock = pilot.cluster.clock
    while (why := maker.ended_badly()) is None:
        clock.cancel.check()
        clock.sleep(0.1)
    return why


class _Shown:
    """What a run without an end shows: systemd each round, a program each decision that differs from the one before."""

    def __init__(self, pilot: Autopilot, form: str, folder: Path | None) -> None:
        self._pilot, self._form, self._folder = pilot, form, folder
        self._last: tuple[str, str] | None = None

    def show(self, decided: Round) -> None:
        from quorate.host.notify import told_systemd

        told_systemd(f"{decided.next.rule}: {decided.next.why}")
        word = (decided.next.rule, decided.failed)
        if self._form == "table" or word == self._last:
            return
        self._last = word
        row = enveloped("AutopilotDecision", _fields(decided, self._pilot, self._folder))
        emit_event(row) if self._form == "json" else emit_document(row)
