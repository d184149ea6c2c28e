"""`quorate etcd recovery`: what recoveries have left beside a data directory, and the end of that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import group
from quorate.cli.common.completion import files, folders
from quorate.cli.common.exit_codes import CHANGES, READS
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.common.recovery import unit_to_hold, with_unit
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.opening import cluster_to_change
from quorate.cli.etcd.recover import emit_given_back, recovered_here, say_done
from quorate.errors import UsageProblem

if TYPE_CHECKING:
    from quorate.recovery.judge_recovery import RecoveryJob
    from quorate.recovery.left_over import RecoveryState

_place = click.argument("data_dir", type=click.Path(path_type=Path), shell_complete=folders)


@group("recovery")
def recovery() -> None:
    """See how far a recovery came, go on with it, end it, and delete what it keeps.

    \b
    Examples:
      quorate etcd recovery status /var/lib/etcd
      quorate etcd recovery clean /var/lib/etcd --run 1a2b3c4d
    """


@recovery.command(ends=READS)
@_place
@output_option()
def status(data_dir: Path, form: str) -> None:
    """Show how far the recovery of DATA_DIR came, what is kept beside it, and what to run next.

    \b
    Example:
      quorate etcd recovery status /var/lib/etcd
    """
    from quorate.recovery.left_over import state_of

    state = state_of(data_dir.absolute())
    emit(form, "EtcdRecoveryStatus", state.as_dict(), lambda: _say(state))


def _say(state: RecoveryState) -> None:
    if state.known is None and not state.kept:
        echo(f"no recovery has left anything beside {state.data_dir}")
        return
    if state.known is not None:
        echo(f"run {state.known.run}: of the cluster {state.known.old_cluster:x}; last step: {state.known.step}")
    here = f"a member of the cluster {state.there.cluster_id:x}" if state.there is not None else "nothing"
    echo(f"{state.data_dir}: {here}")
    for one in state.kept:
        echo(f"kept: {one.path} (of the cluster {one.cluster_id:x})")
    if state.next:
        echo(f"next: {state.next}")


@recovery.command(ends=CHANGES)
@_place
@click.option("--etcd", shell_complete=files, help="An etcd of the survivor's minor version.  [default: as for quorate local]")
@click.option("--etcdutl", shell_complete=files, help="The etcdutl to build it with.  [default: from PATH, or beside etcd]")
@output_option()
def resume(data_dir: Path, etcd: str | None, etcdutl: str | None, form: str) -> None:
    """Go on with a recovery of DATA_DIR that was cut off, as it began: with the members that were held, and said to be gone.

    Who lives is judged anew. A recovery of a node goes on with 'quorate recover', which also starts what is held.

    \b
    Example:
      quorate etcd recovery resume /var/lib/etcd
    """
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock

    cancel = Cancel()
    hold = unit_to_hold(data_dir.absolute(), None)
    with cancelling(cancel), progress() as report:
        job = _job(data_dir.absolute(), etcd, etcdutl)
        done = recovered_here(job, hold, SystemClock(cancel), report)
    emit(form, "EtcdRecovery", with_unit(done.as_dict(), hold), lambda: say_done(job, hold, done))


def _job(data_dir: Path, etcd: str | None, etcdutl: str | None) -> RecoveryJob:
    from quorate.core.decide_recovery import RecoveryWish
    from quorate.host import etcd_binary
    from quorate.recovery.judge_recovery import ETCD_RECOVER, RecoveryJob
    from quorate.recovery.left_over import open_run
    from quorate.recovery.survivors import fenced_of

    known = open_run(data_dir)
    if known.by != ETCD_RECOVER or not (known.name and known.peer_url and known.quota):
        raise UsageProblem(
            f"the recovery {known.run} goes on with its own command", advice=known.by or "type the same command again"
        )
    program = etcd_binary.find(etcd)
    return RecoveryJob(
        data_dir,
        program,
        etcd_binary.etcdutl_for(etcdutl, program.path),
        known.name,
        known.peer_url,
        known.quota,
        tuple(map(Path, known.beside)),
        tuple(fenced_of(one, f"the journal of {known.run}") for one in known.fenced),
        gone=known.gone,
        wish=RecoveryWish(cluster_id=known.old_cluster, accept_loss=known.accept_loss),
    )


@recovery.command(ends=CHANGES)
@_place
@output_option()
def abort(data_dir: Path, form: str) -> None:
    """End a recovery of DATA_DIR that was cut off before it had made a cluster: the data gets its name back.

    \b
    Example:
      quorate etcd recovery abort /var/lib/etcd
    """
    from quorate.recovery.left_over import open_run

    open_run(data_dir.absolute())
    emit_given_back(data_dir, form)


@recovery.command(ends=CHANGES)
@connection_options
@_place
@click.option("--run", "runs", multiple=True, required=True, metavar="RUN", help="Whose data is deleted, as status shows it.")
@output_option()
def clean(data_dir: Path, runs: tuple[str, ...], form: str) -> None:
    """Delete the old data that a recovery keeps beside DATA_DIR, once nobody can need it any more.

    The cluster has to say, through its quorum, that it was made of the old one, and two of its voters have to answer. What is
    deleted is looked at before, and is of that member.

    \b
    Example:
      quorate etcd recovery clean /var/lib/etcd --run 1a2b3c4d
    """
    from quorate.recovery.left_over import clean as cleaned

    with cluster_to_change() as cluster:
        gone = cleaned(cluster, data_dir.absolute(), runs)

    def say() -> None:
        for one in gone:
            echo(f"deleted {one}")

    emit(form, "EtcdRecoveryClean", {"deleted": list(map(str, gone))}, say)
