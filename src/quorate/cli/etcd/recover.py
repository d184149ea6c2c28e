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
from quorate.cli.common.recovery import NO_OLD_MEMBER, Said, planned_fields, recovery_options, say_planned, say_recovered
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.opening import cluster_to_change
from quorate.core.decide_restore import DEFAULT_QUOTA
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.recovery.judge_recovery import RecoveryJob
    from quorate.recovery.progress import Recovered


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
@click.option("--dry-run", is_flag=True, help="Judge all of it; change nothing.")
@output_option()
def recover(data_dir: Path, said: Said, given: Given, dry_run: bool, form: str) -> None:
    """Make a cluster anew from the data of a survivor, when a majority of its members is lost.

    DATA_DIR is the data directory of the member with the newest log. No other member of the old
    cluster may live: each is held (--beside, --fenced), or said to be gone for good (--gone). Then its own etcd applies its
    whole log, so that no write is lost that it had; the result is one voter of a new cluster, with a fresh token
    and a jump of the revision. The old data is renamed, never changed. Killed at any time, the same command goes on.

    \b
    Examples:
      quorate etcd recover /var/lib/etcd --gone cp2 --gone cp3 --dry-run
      quorate etcd recover /var/lib/etcd --gone cp2 --fenced cp3.json
    """
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock
    from quorate.recovery.recover import plan
    from quorate.recovery.recover import recover as run_recovery

    cancel = Cancel()
    with cancelling(cancel), progress() as report:
        job = _job(data_dir, said, given)
        if dry_run:
            judged = plan(job)
        else:
            done = run_recovery(job, SystemClock(cancel), report)
    if dry_run:
        emit(form, "EtcdRecoveryPlan", planned_fields(judged), lambda: say_planned(job.name, judged))
    else:
        emit(form, "EtcdRecovery", done.as_dict(), lambda: say_done(job, done))


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


def say_done(job: RecoveryJob, done: Recovered) -> None:
    """Says what a recovery has made, and what comes next."""
    say_recovered(f"{job.data_dir}: the one voter {job.name}", done)
    echo(f"start its etcd as before, with {to_paste(f'--name={job.name}', f'--data-dir={job.data_dir}')}")
    clean = to_paste("quorate", "etcd", "recovered", str(job.data_dir))
    echo(f"then clean what the old cluster left in it: {clean}, with --endpoints where it does not serve at 127.0.0.1:2379")
    echo(NO_OLD_MEMBER)


@command(ends=CHANGES)
@click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)
@output_option()
def fence(data_dir: Path, form: str) -> None:
    """Hold the data of a lost cluster's member, so that no etcd starts on it; nothing is deleted.

    The data gets another name, and beside it a file is written that says which member it is, and how new its log. Pass that
    file to 'quorate etcd recover --fenced' on the host of the survivor.

    \b
    Example:
      quorate etcd fence /var/lib/etcd
    """
    import secrets

    from quorate.recovery.progress import fence_alone as fenced

    found, path = fenced(data_dir.absolute(), secrets.token_hex(4))
    shown = {
        "kept": found.kept,
        "file": str(path),
        "member": found.survivor.name,
        "lastTerm": found.survivor.last[0],
        "lastIndex": found.survivor.last[1],
    }

    def say() -> None:
        echo(f"held: the data of {found.survivor.name} is {found.kept}, and no etcd starts on it")
        echo(f"for the recovery on the host of the survivor: {to_paste('--fenced', str(path))}")

    emit(form, "EtcdFence", shown, say)


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
    from quorate.recovery.progress import undo

    was = undo(data_dir.absolute())
    emit(form, "EtcdUnfence", {"was": str(was), "dataDir": str(data_dir)}, lambda: echo(f"{was} is {data_dir} again"))


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
