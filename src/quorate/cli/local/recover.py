"""`quorate local recover`: a local cluster that lost its majority, made anew from what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.local.opening import dir_option, opened
from quorate.errors import QuorateError, Refused

if TYPE_CHECKING:
    from quorate.local.home import Home
    from quorate.local.state import LocalMember
    from quorate.recovery.judge_recovery import RecoveryJob
    from quorate.recovery.progress import Recovered


@command(ends=CHANGES)
@dir_option
@click.option("--gone", multiple=True, metavar="NAME-OR-ID", help="A member that never ran here, and never comes back.")
@output_option()
def recover(folder: Path | None, gone: tuple[str, ...], form: str) -> None:
    """Make the cluster anew from what is left, when a quorum is lost.

    The member with the newest log becomes the one voter of a new cluster, with every write that it had; what is left of the
    others is kept. Then 'quorate local up' grows it again.

    \b
    Example:
      quorate local recover
    """
    from quorate.local import cluster
    from quorate.local.recovered import clean_recovered
    from quorate.local.start import wait_for_quorum

    with opened(folder) as home:
        done, name = _recovered(home, gone)
        cluster.start(home, name)
        wait_for_quorum(home)
        clean_recovered(home, done.cluster_id)
        grow = f"quorate local up --members 3 {home.layout.option}"

    def say() -> None:
        echo(f"recovered {done.keys} keys from {name}: it is the one voter of the new cluster {done.cluster_id:x}")
        echo(f"{done.applied} entries were in its log only: all are in it")
        for one in done.kept:
            echo(f"the old data is kept as {one}")
        echo(f"grow it: {grow}")

    emit(form, "EtcdRecovery", done.as_dict(), say)


def _recovered(home: Home, gone: tuple[str, ...]) -> tuple[Recovered, str]:
    """Stops what runs, recovers, and notes who is a member by now."""
    from dataclasses import replace

    from quorate.local.lost import lost_majority
    from quorate.recovery.progress import is_owed_cleaning, recovered_here, retire, run_at
    from quorate.recovery.recover import recover as recovered
    from quorate.recovery.twin import may_isolate

    with home.locked("local recover"):
        saved = home.load()
        data = {one.name: home.layout.member(one.name).data for one in saved.members}
        begun = next((one for one in saved.members if data[one.name].parent.is_dir() and run_at(data[one.name])), None)
        placed = [one for one in saved.members if data[one.name].is_dir() and recovered_here(data[one.name]) is not None]
        unnoted = [one for one in placed if (made := recovered_here(data[one.name])) and made.cluster_id != saved.cluster_id]
        owed = next((one for one in placed if one not in unnoted and is_owed_cleaning(data[one.name])), None)
        is_lost = lost_majority(home, None) is not None
        if begun is None and not is_lost and owed is not None and (made := recovered_here(data[owed.name])) is not None:
            # Killed behind the note of who is a member: it has to serve, and to be cleaned.
            return made, owed.name
        if begun is None and not unnoted:
            if not is_lost:
                raise Refused(
                    "enough data is left for a quorum: the cluster is not lost",
                    state="nothing was changed",
                    advice=f"quorate local up {home.layout.option}",
                )
            for one in placed:
                retire(data[one.name])
        best = begun or (unnoted[0] if unnoted else _newest(home, saved.members))
        # What it needs of this machine is asked before anybody is stopped.
        may_isolate()
        job = _job(home, best, saved.members, gone)
        with _stopped(home):
            done = recovered(job, home.clock, home.report)
        home.save(replace(saved, cluster_id=done.cluster_id, members=(replace(best, phase="first", join=None),)))
    return done, best.name


@contextmanager
def _stopped(home: Home) -> Iterator[None]:
    """Stops the members that run; says so of an error in the block."""
    stopped = home.running()
    for name in stopped:
        home.runtime(name).stop()
    try:
        yield
    except QuorateError as error:
        if stopped:
            ended = f"{', '.join(stopped)} ran, and {'was' if len(stopped) == 1 else 'were'} stopped"
            error.state = "; ".join(filter(None, [error.state, ended]))
        raise


def _newest(home: Home, members: tuple[LocalMember, ...]) -> LocalMember:
    from quorate.offline.look import look

    left = [one for one in members if home.layout.member(one.name).has_data]
    if not left:
        raise Refused(
            "no member has any data left",
            state="nothing was changed",
            advice=f"quorate local down --purge {home.layout.option}    # clears the directory for a new cluster",
        )
    return max(left, key=lambda one: look(home.layout.member(one.name).data).last)


def _job(home: Home, best: LocalMember, members: tuple[LocalMember, ...], gone: tuple[str, ...]) -> RecoveryJob:
    """Returns what is recovered. A member whose data is not in its directory any more is gone for good: it had no other."""
    from quorate.core.decide_restore import DEFAULT_QUOTA
    from quorate.host.etcd_binary import etcdutl_for, find
    from quorate.recovery.fence import spot_of
    from quorate.recovery.judge_recovery import RecoveryJob, where
    from quorate.recovery.progress import run_at

    data = {one.name: home.layout.member(one.name).data for one in members}
    run = run_at(data[best.name])
    others = [one.name for one in members if one.name != best.name]
    left = [name for name in others if data[name].parent.is_dir() and where(spot_of(data[name]), run).is_dir()]
    program = find(best.etcd)
    return RecoveryJob(
        data[best.name],
        program,
        etcdutl_for(None, program.path),
        best.name,
        best.peer_url,
        DEFAULT_QUOTA,
        tuple(data[name] for name in left),
        gone=(*gone, *(name for name in others if name not in left)),
        by=f"quorate local recover {home.layout.option}",
    )
