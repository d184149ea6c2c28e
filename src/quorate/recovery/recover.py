"""Makes a cluster anew from a survivor, when a majority of it is gone. Nothing that a survivor has written down is lost.

1. Look at every survivor, at the programs, at the place; decide (`core/decide_recovery.py`). Until here nothing is changed.
2. Fence: the data of each survivor on this host gets another name. Nothing starts on it any more.
3. Distil: the survivor's own etcd applies its whole log, alone, on a copy (`recovery/distil.py`).
4. Restore that to one voter of a new cluster (`recovery/restore.py`): a fresh token, a jump of the revision, one rename.

A journal says which run began, on which survivor, and how far it came. Killed anywhere, the same command goes on; what is there
counts more than what the journal says. Before the rename of step 4 `unfence` gives everything its name back.
"""

from __future__ import annotations

import getpass
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.core.decide_restore import Wish
from quorate.core.ids import format_id
from quorate.deadline import SystemClock
from quorate.errors import HostError, QuorateError, Refused
from quorate.files import make_folder
from quorate.foreign.text import to_paste
from quorate.host.etcd_identity import MEMBER
from quorate.journal import Journal, Record
from quorate.journal import read as read_journal
from quorate.offline.look import Look, look
from quorate.recovery import distil
from quorate.recovery.fence import Spot, put_aside, spot_of
from quorate.recovery.judge_recovery import Judged, RecoveryJob, judge_recovery
from quorate.recovery.progress import (
    ATTESTED,
    BEGUN,
    BUILT,
    DISTILLED,
    FENCED,
    JOURNAL,
    PLACED,
    WORK,
    Known,
    Recovered,
    folder_of,
    known_at,
    locked,
    note_used,
    refuse_used,
    retired,
    unfences,
)
from quorate.recovery.restore import Job, restore, sweep_beside
from quorate.report import Event, Report

_SNAPSHOT = "survivor.db"


def recover(job: RecoveryJob, clock: SystemClock, report: Report) -> Recovered:
    """Recovers, or goes on where a killed run was. Raises as `judge_recovery`, `distil` and `restore`."""
    spot = spot_of(job.data_dir)
    known = known_at(spot)
    if known is not None and known.placed is not None:
        refuse_used(spot, known)
    # Again also where it goes on: others may have come back meanwhile.
    judged = judge_recovery(job, known.run if known is not None else "") if _is_open(spot, known) else None
    with _work(spot) as book:
        run = _Run(book, spot, job, clock, report)
        known = Known.of(read_journal(book.path))
        if known is None:
            assert judged is not None
            known = _begin(run, judged)
        elif judged is not None:
            _refuse_changed(job, known, judged)
            if more := [one for one in judged.gone if one not in known.gone]:
                run.note(ATTESTED, {"gone": more, "saidBy": getpass.getuser()})
        if known.placed is None:
            known = _place(run, known)
    return known.result(spot)


def _refuse_changed(job: RecoveryJob, known: Known, judged: Judged) -> None:
    """Raises `Refused` where the data is not that of the run that goes on, whose cluster lived on meanwhile; and for other data
    beside it: what that run has not held counted as held, and served beside the new cluster."""
    spot = spot_of(job.data_dir)
    if list(judged.decision.survivor.last) != known.last:
        raise Refused(
            f"{spot.data} was written to since the recovery {known.run} began, which was cut off",
            state="nothing was changed",
            advice=f"begin anew: {to_paste('mv', str(folder_of(spot)), str(retired(spot, known.run)))}; then run the same "
            "command again",
        )
    if {str(spot_of(one).data) for one in job.beside} != set(known.beside):
        began = " ".join(to_paste("--beside", one) for one in known.beside) or "without --beside"
        raise Refused(
            f"the recovery {known.run} began {began}, and goes on so",
            state="nothing more was changed",
            advice=f"give the same; or end it first, and begin anew: {unfences(spot)}",
        )


def plan(job: RecoveryJob) -> Judged:
    """Judges what `recover` would, and changes nothing. Raises as `recover`."""
    spot = spot_of(job.data_dir)
    known = known_at(spot)
    if known is not None and not _is_open(spot, known):
        refuse_used(spot, known)
        raise Refused(
            f"{spot.data} was recovered already (run {known.run})",
            state="nothing was changed",
            advice="start its etcd; then 'quorate etcd recovered' cleans what the old cluster left",
        )
    judged = judge_recovery(job, known.run if known is not None else "")
    if known is not None:
        _refuse_changed(job, known, judged)
    return judged


def _is_open(spot: Spot, known: Known | None) -> bool:
    """Returns whether the old cluster may still be left as it is."""
    return known is None or (known.placed is None and _is_placed(spot, known) is None)


@dataclass(frozen=True, slots=True)
class _Run:
    book: Journal
    spot: Spot
    job: RecoveryJob
    clock: SystemClock
    report: Report

    def note(self, kind: str, fields: Mapping[str, object]) -> None:
        self.book.write(Record(kind, self.clock.wall(), fields))

    def known(self) -> Known:
        found = Known.of(read_journal(self.book.path))
        assert found is not None
        return found


@contextmanager
def _work(spot: Spot) -> Iterator[Journal]:
    """Yields the journal of the recovery of one place; a second one at once is refused."""
    with locked(spot) as folder:
        book = Journal(folder / JOURNAL)
        try:
            yield book
        finally:
            book.close()


def _begin(run: _Run, judged: Judged) -> Known:
    survivor = judged.decision.survivor
    fields: dict[str, object] = {
        "run": secrets.token_hex(4),
        "clusterId": format_id(survivor.cluster_id),
        "memberId": format_id(survivor.member_id),
        "seen": judged.decision.seen,
        "last": list(survivor.last),
        "lost": [*judged.decision.lost, *_torn(judged)],
        "gone": list(judged.gone),
        "beside": [str(spot_of(one).data) for one in run.job.beside],
        "saidBy": getpass.getuser(),
        "name": run.job.name,
        "peerURL": run.job.peer_url,
        "quota": run.job.quota,
        "fenced": [one.as_dict() for one in run.job.fenced],
        "by": run.job.by,
        "acceptLoss": run.job.wish.accept_loss,
    }
    run.note(BEGUN, fields)
    return run.known()


def _torn(judged: Judged) -> list[str]:
    log = judged.looks[0].log
    return (
        [f"the end of its log, which a crash cut off, and nobody was told of: {log.torn}"]
        if log is not None and log.torn
        else []
    )


def _place(run: _Run, known: Known) -> Known:
    """Does the steps that are left; returns what is known then."""
    made = _is_placed(run.spot, known)
    if made is None:
        run.report(Event("fence", run.job.name, f"the data is kept as {run.spot.kept(known.run)}"))
        with _said(run, known):
            for one in map(Path, known.beside):
                # Before it is held: killed in between, what it is for is known.
                note_used(spot_of(one), known.run, run.spot)
            for one in (run.job.data_dir, *map(Path, known.beside)):
                _hold(spot_of(one), known.run)
            run.note(FENCED, {})
            _distil(run, known)
            # Somebody may have come back while that took its time.
            judge_recovery(run.job, known.run)
            _refuse_loose(run, known)
            _restore(run, known)
        made = _is_placed(run.spot, run.known())
        assert made is not None
    run.note(PLACED, made)
    sweep_beside(run.spot.folder if run.spot.name == MEMBER else run.spot.data)
    return run.known()


@contextmanager
def _said(run: _Run, known: Known) -> Iterator[None]:
    """Says of an error in the block what is so by now: the data is held."""
    try:
        yield
    except QuorateError as error:
        kept = run.spot.folder / run.spot.kept(known.run)
        if kept.exists():
            undone = f"to give it its name back instead: {unfences(run.spot)}"
            error.state = f"the data is kept as {kept}, whole; no new cluster was made; the same command continues; {undone}"
        raise


def _is_placed(spot: Spot, known: Known) -> dict[str, object] | None:
    """Returns what stands in the place of the survivor, where a run has put it there: of another cluster than the old."""
    kept, there = spot.folder / spot.kept(known.run), spot.data
    if not kept.exists() or not there.exists():
        return None
    found = look(spot.folder if spot.name == MEMBER else there, deep=True)
    if (found.cluster_id, found.member_id) not in known.built:
        raise _stray(spot, known, found)
    return {
        "clusterId": format_id(found.cluster_id),
        "memberId": format_id(found.member_id),
        "keys": found.walk.keys if found.walk is not None else 0,
        "revision": found.revision,
        "last": list(found.last),
    }


def _stray(spot: Spot, known: Known, found: Look) -> Refused:
    """Returns why the recovery does not go on beside data that it did not put there: an etcd that was started on nothing makes
    an empty cluster of its own; and a node that joined another cluster since has that one's data, which is newer."""
    keys = found.walk.keys if found.walk is not None else 0
    aside = to_paste("mv", str(spot.data), f"{spot.data}.stray")
    notes = to_paste("mv", str(folder_of(spot)), str(retired(spot, known.run)))
    return Refused(
        f"{spot.data} is there, and the recovery {known.run}, which was cut off, did not put it there: it has {keys} keys of "
        f"the cluster {format_id(found.cluster_id)}",
        state=f"nothing more was changed; the data of that recovery is kept as {spot.folder / spot.kept(known.run)}",
        advice=f"to recover what is there, end that recovery: {notes}; only where an etcd was started on nothing meanwhile, "
        f"and nobody needs what it has: {aside}; then run the same command again",
    )


def _hold(spot: Spot, run: str) -> None:
    """Gives the data its other name, where it has not got it yet."""
    if (spot.folder / spot.kept(run)).exists():
        return
    held = os.open(spot.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        put_aside(held, spot, run)
    except OSError as error:
        raise HostError(f"cannot rename {spot.data}: {error.strerror}", state="nothing was changed") from error
    finally:
        os.close(held)


def _refuse_loose(run: _Run, known: Known) -> None:
    """Raises `Refused` where data that this recovery holds has its own name again."""
    for spot in map(spot_of, (run.job.data_dir, *map(Path, known.beside))):
        if spot.data.exists() or not (spot.folder / spot.kept(known.run)).exists():
            raise Refused(
                f"{spot.data} is not held any more: somebody gave it its name back, or put something there",
                state="no new cluster was made",
                advice="see who did; then run the same command again",
            )


def _distil(run: _Run, known: Known) -> None:
    """Makes the snapshot, unless a killed run has: it has its name only when it is whole, and counts only where this recovery
    says that it made it."""
    folder = folder_of(run.spot)
    if known.distilled and (folder / _SNAPSHOT).exists():
        return
    run.report(Event("distil", run.job.name, "its own etcd applies its whole log, alone, on a copy"))
    work = folder / WORK
    distil.sweep(work, run.clock)
    make_folder(work)
    kept = run.spot.folder / run.spot.kept(known.run)
    made = distil.distil(kept if run.spot.name == MEMBER else kept / MEMBER, work, run.job.etcd, run.clock)
    # The name first: a record of it beside the snapshot of another recovery would be believed.
    made.path.rename(folder / _SNAPSHOT)
    run.note(DISTILLED, {"applied": made.applied, "unknown": made.unknown})
    distil.sweep(work, run.clock)


def _restore(run: _Run, known: Known) -> None:
    job, spot = run.job, run.spot
    wish = Wish(job.etcd.version, job.quota, job.peer_url, set_aside=False)
    data_dir = spot.folder if spot.name == MEMBER else spot.data
    snapshot, kept = folder_of(spot) / _SNAPSHOT, (spot.folder / spot.kept(known.run)).stat()
    owner = (kept.st_uid, kept.st_gid) if os.geteuid() == 0 else None

    def note(made: Look) -> None:
        run.note(BUILT, {"clusterId": format_id(made.cluster_id), "memberId": format_id(made.member_id)})

    restore(
        Job(snapshot, data_dir, job.name, job.peer_url, job.etcdutl, wish, known.seen, known.old_cluster, owner),
        run.clock,
        run.report,
        note,
    )
