"""Restores a backup for a while, and lets an etcd serve it, alone: that it can be restored is shown, not believed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quorate.core.decide_restore import DEFAULT_QUOTA, Wish
from quorate.deadline import Deadline, SystemClock
from quorate.host import process
from quorate.host.daemon import tail
from quorate.host.etcd_binary import EtcdBinary
from quorate.host.last_words import etcd_reason
from quorate.host.work_folder import is_left, is_run, sweep, work_in
from quorate.recovery.restore import Job, Restored, RestoreFailed, restore
from quorate.recovery.twin import alone, end_etcd_on, number_of, page_of
from quorate.report import Event, Report

RESTORED: Literal["restore-test"] = "restore-test"
_BEGIN = ".quorate-restore-test-"
_NAME, _PEER = "restore-test", "http://localhost:2380"
_REVISION, _LEADER = "etcd_debugging_mvcc_current_revision", "etcd_server_has_leader"
_HEALTHY, _DATA = b'"health":"true"', "data"
_SERVES_SECONDS, _POLL_SECONDS = 120.0, 0.1


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried. `folder`: where it is restored to for a while; `sha256`: what the manifest says of the file."""

    snapshot: Path
    sha256: str
    folder: Path
    etcd: EtcdBinary
    etcdutl: Path


def try_restore(trial: Trial, clock: SystemClock, report: Report) -> Restored:
    """Restores, starts, waits until the etcd answers a read through its quorum at the revision that was made, and deletes all
    of it. Raises `Refused` and `HostError` where it cannot be tried, `RestoreFailed` where it does not come to serve."""
    if trial.folder.is_dir():
        _sweep(trial.folder, clock)
    with work_in(trial.folder, _BEGIN) as folder:
        data, log = folder / _DATA, folder / "etcd.log"
        quota = max(DEFAULT_QUOTA, 2 * trial.snapshot.stat().st_size)
        wish = Wish(trial.etcd.version, quota, _PEER, set_aside=False)
        made = restore(Job(trial.snapshot, data, _NAME, _PEER, trial.etcdutl, wish, sha256=trial.sha256), clock, report)
        report(Event("restore", _NAME, "an etcd starts on it, alone"))
        with alone(data, trial.etcd, log, clock) as etcd:
            deadline = Deadline(clock, _SERVES_SECONDS, "the restored etcd serves")
            while not _serves(data, made):
                if deadline.expired or not process.is_running(etcd):
                    said = etcd_reason(tail(log))
                    raise RestoreFailed(
                        f"what was restored is not served{f': {said}' if said else ''}", state="the trial was deleted"
                    )
                clock.sleep(_POLL_SECONDS)
    return made


def _serves(data: Path, made: Restored) -> bool:
    # With NOSPACE, which a restore brings back, etcd calls itself unhealthy: it reads, and takes no write.
    is_healthy = _HEALTHY in page_of(data, "/health") or (made.no_space and number_of(data, _LEADER) == 1)
    return is_healthy and number_of(data, _REVISION) == made.revision


def _sweep(folder: Path, clock: SystemClock) -> None:
    """Ends the etcds of trials that were killed, and deletes what they served."""
    for path in folder.iterdir():
        if path.name.startswith(_BEGIN) and is_run(path.name.removeprefix(_BEGIN)) and is_left(path):
            end_etcd_on(path / _DATA, clock)
    sweep(folder, _BEGIN)
