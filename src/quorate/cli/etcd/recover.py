"""`quorate etcd recover|fence|unfence`: a cluster is made anew from a survivor, and old members are held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import files, folders
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.opening import cluster_to_change
from quorate.core.decide_restore import DEFAULT_QUOTA
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.recovery.judge_recovery import Judged, RecoveryJob
    from quorate.recovery.progress import Recovered


@dataclass(frozen=True, slots=True)
class Given:
    """What an operator says of a recovery."""

    name: str | None
    peer_url: str | None
    gone: tuple[str, ...]
    beside: tuple[Path, ...]
    fenced: tuple[Path, ...]
    cluster_id: str | None
    accept_loss: bool
    quota: int
    etcd: str | None
    etcdutl: str | None


recovery_options = packed(
    Given,
    "given",
    (
        click.option("--name", help="Name of the one voter.  [default: of the survivor]"),
        click.option("--peer-url", metavar="URL", help="Its peer URL.  [default: of the survivor]"),
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
            "--quota",
            type=click.IntRange(min=1),
            default=DEFAULT_QUOTA,
            show_default=True,
            help="Bytes of its --quota-backend-bytes.",
        ),
        click.option(
            "--etcd", shell_complete=files, help="An etcd of the survivor's minor version.  [default: as for quorate local]"
        ),
        click.option(
            "--etcdutl", shell_complete=files, help="The etcdutl to build it with.  [default: from PATH, or beside etcd]"
        ),
    ),
)
"""Adds the options, and passes them to the command as `given`."""


@command(ends=CHANGES)
@click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)
@recovery_options
@click.option("--dry-run", is_flag=True, help="Judge all of it; change nothing.")
@output_option()
def recover(data_dir: Path, given: Given, dry_run: bool, form: str) -> None:
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
        job = job_of(data_dir, given)
        if dry_run:
            judged = plan(job)
        else:
            done = run_recovery(job, SystemClock(cancel), report)
    if dry_run:
        emit(form, "EtcdRecoveryPlan", _planned(judged), lambda: _say_planned(job, judged))
    else:
        emit(form, "EtcdRecovery", done.as_dict(), lambda: _say(job, done))


def job_of(data_dir: Path, given: Given) -> RecoveryJob:
    """Returns what is to be recovered. Raises `ConfigError` for what cannot be meant."""
    from quorate.core.decide_recovery import RecoveryWish
    from quorate.core.ids import normalise_url, parse_id
    from quorate.core.new_member import check_new_name
    from quorate.host import etcd_binary
    from quorate.recovery.judge_recovery import RecoveryJob
    from quorate.recovery.progress import member_in
    from quorate.recovery.survivors import read_fenced

    name, peer_url = given.name, given.peer_url
    if name is None or peer_url is None:
        own = member_in(data_dir)
        name, peer_url = name or own.name, peer_url or own.peer_url
    program = etcd_binary.find(given.etcd)
    check_new_name(name)
    return RecoveryJob(
        data_dir.absolute(),
        program,
        etcd_binary.etcdutl_for(given.etcdutl, program.path),
        name,
        normalise_url(peer_url),
        given.quota,
        tuple(one.absolute() for one in given.beside),
        tuple(map(read_fenced, given.fenced)),
        gone=given.gone,
        wish=RecoveryWish(cluster_id=parse_id(given.cluster_id) if given.cluster_id else 0, accept_loss=given.accept_loss),
    )


def _planned(judged: Judged) -> dict[str, object]:
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


def _say_planned(job: RecoveryJob, judged: Judged) -> None:
    survivor = judged.decision.survivor
    echo(
        f"would make {job.name} the one voter of a new cluster, with all that {survivor.name} has: "
        f"up to entry {survivor.last[1]} of term {survivor.last[0]}"
    )
    if judged.gone:
        echo(f"because you say that these never come back: {', '.join(judged.gone)}")
    for one in judged.decision.lost:
        echo(f"known to be lost: {one}")
    echo(NOTHING_DONE)


def _say(job: RecoveryJob, done: Recovered) -> None:
    echo(f"recovered {done.keys} keys to {job.data_dir}: the one voter {job.name} of the new cluster {done.cluster_id:x}")
    tail = f", {done.unknown} of them not known to be committed" if done.unknown else ""
    echo(f"{done.applied} entries were in its log only{tail}: all are in it")
    for one in done.lost:
        echo(f"lost: {one}")
    echo(f"its revision jumped to {done.revision}: each client lists anew, and none has to be restarted")
    for one in done.kept:
        echo(f"the old data is kept as {one}")
    echo(f"start its etcd as before, with {to_paste(f'--name={job.name}', f'--data-dir={job.data_dir}')}")
    echo(f"then clean what the old cluster left in it: {to_paste('quorate', 'etcd', 'recovered', str(job.data_dir))}")
    echo("no member of the old cluster may start again; the new one grows member by member, each a learner first")


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

    from quorate.recovery.fence import fence as fenced

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
