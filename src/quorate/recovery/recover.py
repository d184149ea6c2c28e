"""Makes a cluster anew from a survivor, when a majority of it is gone. Nothing that a survivor has written down is lost.

1. Look at every survivor, at the programs, at the place; decide (`core/decide_recovery.py`). Until here nothing is changed.
2. Fence: the data of each survivor on this host gets another name. Nothing starts on it any more.
3. Distil: the survivor's own etcd applies its whole log, alone, on a copy (`recovery/distil.py`).
4. Restore that to one voter of a new cluster (`recovery/restore.py`): a fresh token, a jump of the revision, one rename.

A journal says which run began, on which survivor, and how far it came. Killed anywhere, the same command goes on; what is there
counts more than what the journal says. Before the rename of step 4 `unfence` gives everything its name back.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.core.decide_restore import Wish
from quorate.core.ids import format_id, parse_id
from quorate.deadline import SystemClock
from quorate.errors import ConfigError, HostError, Refused
from quorate.files import make_folder
from quorate.foreign.text import to_paste
from quorate.foreign.values import integer_of, text_of
from quorate.host.etcd_identity import MEMBER
from quorate.journal import Journal, Record
from quorate.journal import read as read_journal
from quorate.offline.look import look
from quorate.recovery import distil
from quorate.recovery.fence import Spot, put_aside, spot_of
from quorate.recovery.judge_recovery import Judged, RecoveryJob, judge_recovery, where
from quorate.recovery.restore import Job, restore
from quorate.report import Event, Report

_FOLDER = ".quorate-recovery"
_WORK, _SNAPSHOT, _JOURNAL = "work", "survivor.db", "journal"
_BEGUN, _FENCED, _DISTILLED, _PLACED = "begun", "fenced", "distilled", "placed"


@dataclass(frozen=True, slots=True)
class Recovered:
    """`applied`: entries that were only in the survivor's log; `unknown`: those of them that it did not know to be committed;
    `lost`: what is known to be missing; `kept`: where the old data is."""

    run: str
    old_cluster: int
    cluster_id: int
    member_id: int
    keys: int
    revision: int
    applied: int
    unknown: int
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    kept: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        return {
            "run": self.run,
            "oldClusterId": format_id(self.old_cluster),
            "clusterId": format_id(self.cluster_id),
            "memberId": format_id(self.member_id),
            "keys": self.keys,
            "revision": self.revision,
            "appliedFromLog": self.applied,
            "notKnownToBeCommitted": self.unknown,
            "lost": list(self.lost),
            "gone": list(self.gone),
            "kept": list(self.kept),
        }


@dataclass(frozen=True, slots=True)
class OwnMember:
    """Who a data directory's member is by its own database."""

    name: str
    peer_url: str


def member_in(data_dir: Path) -> OwnMember:
    """Returns the member whose data is in a directory, or was held beside it by a recovery. Raises `ConfigError`."""
    spot = spot_of(data_dir)
    known = _Known.of(read_journal(folder_of(spot) / _JOURNAL))
    found = look(where(spot, known.run if known is not None else ""))
    rows = found.backend.members if found.backend is not None else ()
    own = next((one for one in rows if one.id == found.member_id), None)
    if own is None or not own.name or not own.peer_urls:
        raise ConfigError(f"{data_dir} does not say how its member is called", advice="pass --name and --peer-url")
    return OwnMember(own.name, own.peer_urls[0])


def folder_of(spot: Spot) -> Path:
    """Returns the folder of a recovery, beside the data that it is about."""
    return spot.folder / f"{spot.name}{_FOLDER}"


def recover(job: RecoveryJob, clock: SystemClock, report: Report) -> Recovered:
    """Recovers, or goes on where a killed run was. Raises as `judge_recovery`, `distil` and `restore`."""
    spot = spot_of(job.data_dir)
    known = _Known.of(read_journal(folder_of(spot) / _JOURNAL))
    if known is not None and known.placed is not None:
        _refuse_used(spot, known)
    # Again also where it goes on: others may have come back meanwhile.
    judged = judge_recovery(job, known.run if known is not None else "") if _is_open(spot, known) else None
    with _work(spot) as book:
        run = _Run(book, spot, job, clock, report)
        known = _Known.of(read_journal(book.path))
        if known is None:
            assert judged is not None
            known = _begin(run, judged)
        if known.placed is None:
            known = _place(run, known)
    return known.result(spot)


def _refuse_used(spot: Spot, known: _Known) -> None:
    """Raises `Refused` where an etcd has run on what an earlier recovery made: the same command would make it anew."""
    there = look(spot.folder if spot.name == MEMBER else spot.data)
    if list(there.last) != (known.placed or {}).get("last"):
        raise Refused(
            f"{spot.data} was recovered before (run {known.run}), and is in use since",
            state="nothing was changed",
            advice=f"is it lost again? {to_paste('mv', str(folder_of(spot)), str(_retired(spot, known.run)))}; then run the "
            "same command again",
        )


def _retired(spot: Spot, run: str) -> Path:
    return folder_of(spot).with_name(f"{spot.name}{_FOLDER}-{run}")


def retire(data_dir: Path) -> None:
    """Gives the notes of an earlier recovery another name, where what it made was lost in turn."""
    spot = spot_of(data_dir)
    known = _Known.of(read_journal(folder_of(spot) / _JOURNAL))
    if known is not None and known.placed is not None:
        folder_of(spot).rename(_retired(spot, known.run))


def run_at(data_dir: Path) -> str:
    """Returns the run of a recovery that was cut off in a directory; empty where there is none."""
    known = _Known.of(read_journal(folder_of(spot_of(data_dir)) / _JOURNAL))
    return known.run if known is not None and known.placed is None else ""


def recovered_here(data_dir: Path) -> Recovered | None:
    """Returns what a recovery has made in a directory; None where none has ended there."""
    spot = spot_of(data_dir)
    known = _Known.of(read_journal(folder_of(spot) / _JOURNAL))
    return known.result(spot) if known is not None and known.placed is not None else None


def _is_open(spot: Spot, known: _Known | None) -> bool:
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

    def known(self) -> _Known:
        found = _Known.of(read_journal(self.book.path))
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What the journal says of this recovery."""

    run: str
    old_cluster: int
    member: int
    seen: int
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    beside: tuple[str, ...]
    applied: int = 0
    unknown: int = 0
    placed: Mapping[str, object] | None = None

    @classmethod
    def of(cls, records: list[Record]) -> _Known | None:
        known: _Known | None = None
        for one in records:
            fields = one.fields
            if one.kind == _BEGUN:
                known = cls(
                    text_of(fields.get("run")),
                    parse_id(text_of(fields.get("clusterId"))),
                    parse_id(text_of(fields.get("memberId"))),
                    integer_of(fields.get("seen")),
                    _texts(fields.get("lost")),
                    _texts(fields.get("gone")),
                    _texts(fields.get("beside")),
                )
            elif known is not None and one.kind == _DISTILLED:
                known = replace(known, applied=integer_of(fields.get("applied")), unknown=integer_of(fields.get("unknown")))
            elif known is not None and one.kind == _PLACED:
                known = replace(known, placed=fields)
        return known

    def result(self, spot: Spot) -> Recovered:
        placed = self.placed or {}
        return Recovered(
            self.run,
            self.old_cluster,
            parse_id(text_of(placed.get("clusterId"))),
            parse_id(text_of(placed.get("memberId"))),
            integer_of(placed.get("keys")),
            integer_of(placed.get("revision")),
            self.applied,
            self.unknown,
            self.lost,
            self.gone,
            (str(spot.folder / spot.kept(self.run)), *(f"{one}.quorate-kept-{self.run}" for one in self.beside)),
        )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


@contextmanager
def _work(spot: Spot) -> Iterator[Journal]:
    """Yields the journal of the recovery of one place; a second one at once is refused."""
    folder = folder_of(spot)
    make_folder(folder)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostError(
                f"another recovery of {spot.data} is at work", state="this one changed nothing", advice="let it end"
            ) from None
        book = Journal(folder / _JOURNAL)
        try:
            yield book
        finally:
            book.close()
    finally:
        os.close(held)


def _begin(run: _Run, judged: Judged) -> _Known:
    survivor = judged.decision.survivor
    fields: dict[str, object] = {
        "run": secrets.token_hex(4),
        "clusterId": format_id(survivor.cluster_id),
        "memberId": format_id(survivor.member_id),
        "seen": judged.decision.seen,
        "lost": list(judged.decision.lost),
        "gone": list(judged.gone),
        "beside": [str(spot_of(one).data) for one in run.job.beside],
        "saidBy": getpass.getuser(),
    }
    run.note(_BEGUN, fields)
    return run.known()


def _place(run: _Run, known: _Known) -> _Known:
    """Does the steps that are left; returns what is known then."""
    made = _is_placed(run.spot, known)
    if made is None:
        run.report(Event("fence", run.job.name, f"the data is kept as {run.spot.kept(known.run)}"))
        for one in (run.job.data_dir, *map(Path, known.beside)):
            _hold(spot_of(one), known.run)
        run.note(_FENCED, {})
        _distil(run, known)
        _restore(run, known)
        made = _is_placed(run.spot, known)
        assert made is not None
    run.note(_PLACED, made)
    return run.known()


def _is_placed(spot: Spot, known: _Known) -> dict[str, object] | None:
    """Returns what stands in the place of the survivor, where a run has put it there: of another cluster than the old."""
    kept, there = spot.folder / spot.kept(known.run), spot.data
    if not kept.exists() or not there.exists():
        return None
    found = look(spot.folder if spot.name == MEMBER else there, deep=True)
    if found.cluster_id in (0, known.old_cluster):
        raise Refused(
            f"{there} holds data of the old cluster beside {kept}",
            state="nothing more was changed",
            advice=f"somebody put it there since this recovery began: look at it, and move it away; it began as {known.run}",
        )
    return {
        "clusterId": format_id(found.cluster_id),
        "memberId": format_id(found.member_id),
        "keys": found.walk.keys if found.walk is not None else 0,
        "revision": found.revision,
        "last": list(found.last),
    }


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


def _distil(run: _Run, known: _Known) -> None:
    """Makes the snapshot, unless a killed run has: it has its name only when it is whole."""
    folder = folder_of(run.spot)
    if (folder / _SNAPSHOT).exists():
        return
    run.report(Event("distil", run.job.name, "its own etcd applies its whole log, alone, on a copy"))
    work = folder / _WORK
    distil.sweep(work, run.clock)
    make_folder(work)
    kept = run.spot.folder / run.spot.kept(known.run)
    made = distil.distil(kept if run.spot.name == MEMBER else kept / MEMBER, work, run.job.etcd, run.clock)
    run.note(_DISTILLED, {"applied": made.applied, "unknown": made.unknown})
    made.path.rename(folder / _SNAPSHOT)
    distil.sweep(work, run.clock)


def _restore(run: _Run, known: _Known) -> None:
    job, spot = run.job, run.spot
    wish = Wish(job.etcd.version, job.quota, job.peer_url, set_aside=False)
    data_dir = spot.folder if spot.name == MEMBER else spot.data
    snapshot = folder_of(spot) / _SNAPSHOT
    restore(
        Job(snapshot, data_dir, job.name, job.peer_url, job.etcdutl, wish, known.seen, known.old_cluster),
        run.clock,
        run.report,
    )
