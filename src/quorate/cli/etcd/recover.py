"""`quorate etcd recover|fence|unfence`: a cluster is made anew from a survivor, and old members are held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import folders
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.common.recovery import (
    NO_OLD_MEMBER,
    Said,
    planned_fields,
    recovery_options,
    say_planned,
    say_recovered,
    unit_option,
    unit_to_hold,
    with_unit,
)
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.opening import cluster_to_change
from quorate.core.decide_restore import DEFAULT_QUOTA
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.deadline import SystemClock
    from quorate.recovery.judge_recovery import Judged, RecoveryJob
    from quorate.recovery.progress import Recovered
    from quorate.recovery.survivors import Fenced
    from quorate.recovery.unit_hold import UnitHold
    from quorate.report import Report


@dataclass(frozen=True, slots=True)
class Given:
    """What the new voter is to be. None: as the survivor is."""

    name: str | None
    peer_url: str | None
    quota: int


_new_voter = packed(
    Given,
    "given",
    (
        click.option("--name", help="Name of the one voter.  [default: of the survivor]"),
        click.option("--peer-url", metavar="URL", help="Its peer URL.  [default: of the survivor]"),
        click.option(
            "--quota",
            type=click.IntRange(min=1),
            default=DEFAULT_QUOTA,
            show_default=True,
            help="Bytes of its --quota-backend-bytes.",
        ),
    ),
)


@command(ends=CHANGES)
@click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)
@recovery_options
@_new_voter
@unit_option
@click.option("--dry-run", is_flag=True, help="Judge all of it; change nothing.")
@output_option()
def recover(data_dir: Path, said: Said, given: Given, unit: str | None, dry_run: bool, form: str) -> None:
    """Make a cluster anew from the data of a survivor, when a majority of its members is lost.

    DATA_DIR is the data directory of the member with the newest log. No other member of the old
    cluster may live: each is held (--beside, --fenced), or said to be gone for good (--gone). Then its own etcd applies its
    whole log, so that no write is lost that it had; the result is one voter of a new cluster, with a fresh token
    and a jump of the revision. The old data is renamed, never changed. Killed at any time, the same command goes on.
    With --unit the service of its etcd is held and started again by this command; else you stop its etcd before.

    \b
    Examples:
      quorate etcd recover /var/lib/etcd --gone cp2 --gone cp3 --dry-run
      quorate etcd recover /var/lib/etcd --gone cp2 --fenced cp3.json
      quorate etcd recover /var/lib/etcd --gone cp2 --gone cp3 --unit etcd
    """
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock

    cancel = Cancel()
    hold = unit_to_hold(data_dir.absolute(), unit)
    with cancelling(cancel), progress() as report:
        job = _job(data_dir, said, given)
        if dry_run:
            judged = _planned(job, hold)
        else:
            done = recovered_here(job, hold, SystemClock(cancel), report)
    if dry_run:
        emit(form, "EtcdRecoveryPlan", with_unit(planned_fields(judged), hold), lambda: say_planned(job.name, judged))
    else:
        emit(form, "EtcdRecovery", with_unit(done.as_dict(), hold), lambda: say_done(job, hold, done))


def _planned(job: RecoveryJob, hold: UnitHold | None) -> Judged:
    from quorate.recovery.recover import plan
    from quorate.recovery.recover_unit import plan_with_unit

    return plan(job) if hold is None else plan_with_unit(job, hold)


def recovered_here(job: RecoveryJob, hold: UnitHold | None, clock: SystemClock, report: Report) -> Recovered:
    """Recovers a directory, with the service of its etcd where there is one to hold."""
    from quorate.recovery.recover import recover as run_recovery
    from quorate.recovery.recover_unit import recover_with_unit

    return run_recovery(job, clock, report) if hold is None else recover_with_unit(job, hold, clock, report)


def _job(data_dir: Path, said: Said, given: Given) -> RecoveryJob:
    from quorate.core.ids import normalise_url
    from quorate.core.new_member import check_new_name
    from quorate.host import etcd_binary
    from quorate.recovery.judge_recovery import RecoveryJob
    from quorate.recovery.progress import member_in

    name, peer_url = given.name, given.peer_url
    if name is None or peer_url is None:
        own = member_in(data_dir)
        name, peer_url = name or own.name, peer_url or own.peer_url
    program = etcd_binary.find(said.etcd)
    check_new_name(name)
    return RecoveryJob(
        data_dir.absolute(),
        program,
        etcd_binary.etcdutl_for(said.etcdutl, program.path),
        name,
        normalise_url(peer_url),
        given.quota,
        said.folders(),
        said.files(),
        gone=said.gone,
        wish=said.wish(),
    )


def say_done(job: RecoveryJob, hold: UnitHold | None, done: Recovered) -> None:
    """Says what a recovery has made, and what comes next."""
    say_recovered(f"{job.data_dir}: the one voter {job.name}", done)
    if hold is None:
        echo(f"start its etcd as before, with {to_paste(f'--name={job.name}', f'--data-dir={job.data_dir}')}")
    else:
        echo(f"{hold.service} starts on it")
    clean = to_paste("quorate", "etcd", "recovered", str(job.data_dir))
    echo(f"then clean what the old cluster left in it: {clean}, with --endpoints where it does not serve at 127.0.0.1:2379")
    echo(NO_OLD_MEMBER)


@command(ends=CHANGES)
@click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)
@click.option("--unit", help="The systemd service of its etcd, without .service: ended, and held.")
@output_option()
def fence(data_dir: Path, unit: str | None, form: str) -> None:
    """Hold the data of a lost cluster's member, so that no etcd starts on it; nothing is deleted.

    The data gets another name, and beside it a file is written that says which member it is, and how new its log. Pass that
    file to 'quorate etcd recover --fenced' on the host of the survivor.

    \b
    Example:
      quorate etcd fence /var/lib/etcd
    """
    import secrets

    place = data_dir.absolute()
    hold = unit_to_hold(place, unit)
    found, path = _fenced(place, hold, secrets.token_hex(4))
    shown = {
        "kept": found.kept,
        "file": str(path),
        "member": found.survivor.name,
        "lastTerm": found.survivor.last[0],
        "lastIndex": found.survivor.last[1],
    }

    def say() -> None:
        echo(f"held: the data of {found.survivor.name} is {found.kept}, and no etcd starts on it")
        if hold is not None:
            echo(f"held: {hold.service}, by {hold.drop_in}; delete that file before this host joins the new cluster")
        echo(f"for the recovery on the host of the survivor: {to_paste('--fenced', str(path))}")

    emit(form, "EtcdFence", with_unit(shown, hold), say)


def _fenced(data_dir: Path, hold: UnitHold | None, run: str) -> tuple[Fenced, Path]:
    from quorate.recovery.progress import fence_alone
    from quorate.recovery.recover_unit import fence_with_unit

    return fence_alone(data_dir, run) if hold is None else fence_with_unit(data_dir, hold, run)


@command(ends=CHANGES)
@click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)
@click.option("--not-recovered", is_flag=True, required=True, help="Say that no new cluster was made of the old one meanwhile.")
@output_option()
def unfence(data_dir: Path, not_recovered: bool, form: str) -> None:  # noqa: ARG001
    """Give data that was held its name back, where the old cluster is to live on after all.

    Where a new cluster was made meanwhile, two would serve: clients do not tell them apart.

    \b
    Example:
      quorate etcd unfence /var/lib/etcd --not-recovered
    """
    emit_given_back(data_dir, form)


def emit_given_back(data_dir: Path, form: str) -> None:
    """Gives data that was held its name back, starts the service that was held with it, and says so."""
    from quorate.recovery.progress import undo

    place = data_dir.absolute()
    was, hold = undo(place), unit_to_hold(place, None)
    if hold is not None:
        hold.let_go()

    def say() -> None:
        echo(f"{was} is {data_dir} again")
        if hold is not None:
            echo(f"{hold.service} starts again")

    emit(form, "EtcdUnfence", with_unit({"was": str(was), "dataDir": str(data_dir)}, hold), say)


@command(ends=CHANGES)
@connection_options
@click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)
@output_option()
def recovered(data_dir: Path, form: str) -> None:
    """Clean what the old cluster left in the one that 'recover' made in DATA_DIR, once its etcd serves.

    Alarms of NOSPACE of members that are none any more are cleared, seats and locks of runs that died are deleted, and the
    autopilot is paused until you resume it. It may be run again.

    \b
    Example:
      quorate etcd recovered /var/lib/etcd --endpoints https://10.0.0.1:2379
    """
    from quorate.recovery.settle import settle

    with cluster_to_change() as cluster:
        done = settle(cluster, data_dir.absolute())

    def say() -> None:
        for one in done.disarmed:
            echo(f"cleared NOSPACE of {one}, which is no member any more")
        echo(f"deleted {done.deleted} records of runs that died with the old cluster; the new one takes writes")
        echo("the autopilot is paused until you resume it: quorate autopilot resume")

    emit(form, "EtcdRecovered", done.as_dict(), say)
