"""Recovers a member whose etcd is a service of systemd: held before the data is touched, started again on what was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from quorate.deadline import SystemClock
from quorate.errors import QuorateError
from quorate.recovery.fence import kept_runs, spot_of
from quorate.recovery.judge_recovery import Judged, RecoveryJob
from quorate.recovery.progress import Recovered, fence_alone, known_at
from quorate.recovery.recover import plan, recover
from quorate.recovery.survivors import Fenced
from quorate.recovery.unit_hold import UnitHold
from quorate.report import Event, Report


def plan_with_unit(job: RecoveryJob, hold: UnitHold) -> Judged:
    """Judges what `recover_with_unit` would, and changes nothing. Raises as it does."""
    if hold.is_held():
        return plan(job)
    hold.refuse_another()
    return plan(replace(job, stops=(job.data_dir,)))


def recover_with_unit(job: RecoveryJob, hold: UnitHold, clock: SystemClock, report: Report) -> Recovered:
    """Recovers, or goes on where a killed run was. Where it is refused before any data was touched, the service starts again.
    Raises as `recover`, and `HostError` where systemd does not do it."""
    if not hold.is_held():
        # Also who answers, and what has to be attested: all of it before the service ends.
        plan_with_unit(job, hold)
        report(Event("stop", job.name, f"{hold.service} is ended, and does not start meanwhile"))
    # Again where it is held: a run that was killed may have written the drop-in, and no more.
    hold.hold()
    try:
        done = recover(job, clock, report)
    except QuorateError as error:
        if is_begun(job.data_dir):
            error.state = f"{error.state or 'the recovery was cut off'}; {hold.service} is held until it ends"
        else:
            hold.let_go()
        raise
    report(Event("start", job.name, f"{hold.service} starts on the new cluster"))
    hold.let_go()
    return done


def fence_with_unit(data_dir: Path, hold: UnitHold, run: str) -> tuple[Fenced, Path]:
    """Holds the service, and then the data. Where that is refused, the service starts again. Raises as `fence_alone`."""
    if not hold.is_held():
        hold.refuse_another()
    hold.hold()
    try:
        return fence_alone(data_dir, run)
    except QuorateError:
        if not kept_runs(spot_of(data_dir)):
            hold.let_go()
        raise


def is_begun(data_dir: Path) -> bool:
    """Returns whether a recovery of this data was cut off."""
    known = known_at(spot_of(data_dir))
    return known is not None and known.placed is None
