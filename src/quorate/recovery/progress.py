"""How far a recovery came: its folder beside the data, what its journal says, and what that is worth by now."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.core.ids import format_id, parse_id
from quorate.deadline import SystemClock
from quorate.errors import ConfigError, HostError, Refused
from quorate.files import make_folder, write_atomic
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.local_files import read_at_most
from quorate.foreign.text import to_paste
from quorate.foreign.values import integer_of, rows_of, text_of
from quorate.host.etcd_identity import MEMBER
from quorate.journal import Journal, Record, is_of_newer
from quorate.journal import read as read_journal
from quorate.offline.look import look
from quorate.recovery import distil
from quorate.recovery.fence import Spot, fence, kept_runs, spot_of, unfence
from quorate.recovery.judge_recovery import where
from quorate.recovery.survivors import Fenced

_FOLDER = ".quorate-recovery"
_MOST_BYTES = 1 << 16
JOURNAL, WORK = "journal", "work"
BEGUN, ATTESTED, FENCED, DISTILLED, BUILT, PLACED, SETTLED = (
    "begun",
    "attested",
    "fenced",
    "distilled",
    "built",
    "placed",
    "settled",
)
STEPS = (BEGUN, FENCED, DISTILLED, BUILT, PLACED, SETTLED)
_USED = ".quorate-used-"
_USED_FORMAT = 1


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


def folder_of(spot: Spot) -> Path:
    """Returns the folder of a recovery, beside the data that it is about."""
    return spot.folder / f"{spot.name}{_FOLDER}"


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal says of this recovery. `distilled`: the snapshot that is there is of this run; `built`: cluster and
    member id of each data directory that it was about to give the survivor's name: what else stands there is somebody's; `name`
    to `fenced`: of the job, as it began; `by`: the command that goes on; `step`: the last one that was done."""

    run: str
    old_cluster: int
    member: int
    seen: int
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    beside: tuple[str, ...]
    last: object = None
    distilled: bool = False
    applied: int = 0
    unknown: int = 0
    built: frozenset[tuple[int, int]] = frozenset()
    placed: Mapping[str, object] | None = None
    is_settled: bool = False
    name: str = ""
    peer_url: str = ""
    quota: int = 0
    fenced: tuple[Mapping[str, object], ...] = ()
    by: str = ""
    accept_loss: bool = False
    step: str = BEGUN

    @classmethod
    def of(cls, records: list[Record]) -> Known | None:
        known: Known | None = None
        for one in records:
            fields = one.fields
            if one.kind == BEGUN:
                known = cls(
                    text_of(fields.get("run")),
                    parse_id(text_of(fields.get("clusterId"))),
                    parse_id(text_of(fields.get("memberId"))),
                    integer_of(fields.get("seen")),
                    _texts(fields.get("lost")),
                    _texts(fields.get("gone")),
                    _texts(fields.get("beside")),
                    fields.get("last"),
                    name=text_of(fields.get("name")),
                    peer_url=text_of(fields.get("peerURL")),
                    quota=integer_of(fields.get("quota")),
                    fenced=tuple(rows_of(fields.get("fenced"))),
                    by=text_of(fields.get("by")),
                    accept_loss=fields.get("acceptLoss") is True,
                )
            elif known is not None and one.kind == DISTILLED:
                applied, unknown = integer_of(fields.get("applied")), integer_of(fields.get("unknown"))
                known = replace(known, distilled=True, applied=applied, unknown=unknown)
            elif known is not None and one.kind == ATTESTED:
                known = replace(known, gone=tuple(dict.fromkeys([*known.gone, *_texts(fields.get("gone"))])))
            elif known is not None and one.kind == BUILT:
                ids = parse_id(text_of(fields.get("clusterId"))), parse_id(text_of(fields.get("memberId")))
                known = replace(known, built=known.built | {ids})
            elif known is not None and one.kind == PLACED:
                known = replace(known, placed=fields)
            elif known is not None and one.kind == SETTLED:
                known = replace(known, is_settled=True)
            if known is not None and one.kind in STEPS:
                known = replace(known, step=one.kind)
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


def known_at(spot: Spot) -> Known | None:
    """Returns what the journal of a place says; None where no recovery began there. Raises `Refused` for one that a newer
    version wrote: taken for none, what it holds was recovered once more."""
    return known_in(folder_of(spot))


def known_in(folder: Path) -> Known | None:
    """As `known_at`, of the folder of a recovery, which may have been retired."""
    path = folder / JOURNAL
    if is_of_newer(path):
        raise Refused(f"a newer version of quorate wrote {path}", state="nothing was changed", advice="use that version here")
    return Known.of(read_journal(path))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class OwnMember:
    """Who a data directory's member is by its own database."""

    name: str
    peer_url: str


def member_in(data_dir: Path) -> OwnMember:
    """Returns the member whose data is in a directory, or was held beside it by a recovery. Raises `ConfigError`."""
    spot = spot_of(data_dir)
    known = known_at(spot)
    found = look(where(spot, known.run if known is not None else ""))
    rows = found.backend.members if found.backend is not None else ()
    own = next((one for one in rows if one.id == found.member_id), None)
    if own is None or not own.name or not own.peer_urls:
        raise ConfigError(f"{data_dir} does not say how its member is called", advice="pass --name and --peer-url")
    return OwnMember(own.name, own.peer_urls[0])


def recovered_here(data_dir: Path) -> Recovered | None:
    """Returns what a recovery has made in a directory; None where none has ended there."""
    spot = spot_of(data_dir)
    known = known_at(spot)
    return known.result(spot) if known is not None and known.placed is not None else None


def is_owed_cleaning(data_dir: Path) -> bool:
    """Returns whether a recovery has made what is here, and what the old cluster left in it was not cleaned yet."""
    known = known_at(spot_of(data_dir))
    return known is not None and known.placed is not None and not known.is_settled


def note_settled(data_dir: Path, wall: float) -> None:
    """Notes that it was."""
    if not is_owed_cleaning(data_dir):
        return
    with locked(spot_of(data_dir)) as folder:
        book = Journal(folder / JOURNAL)
        try:
            book.write(Record(SETTLED, wall, {}))
        finally:
            book.close()


def run_at(data_dir: Path) -> str:
    """Returns the run of a recovery that was cut off in a directory; empty where there is none."""
    known = known_at(spot_of(data_dir))
    return known.run if known is not None and known.placed is None else ""


def refuse_used(spot: Spot, known: Known) -> None:
    """Raises `Refused` where an etcd has run on what an earlier recovery made: the same command would make it anew; and where
    that is gone."""
    if not spot.data.exists():
        raise _gone(spot, known)
    there = look(data_dir_of(spot))
    if list(there.last) != (known.placed or {}).get("last"):
        raise Refused(
            f"{spot.data} was recovered before (run {known.run}), and is in use since",
            state="nothing was changed",
            advice=f"is it lost again? {to_paste('mv', str(folder_of(spot)), str(retired(spot, known.run)))}; then run the "
            "same command again",
        )


def _gone(spot: Spot, known: Known) -> Refused:
    """Returns why nothing is done where what a recovery has made is not there any more."""
    new = format_id(known.result(spot).cluster_id)
    kept = spot.folder / spot.kept(known.run)
    moves = ((folder_of(spot), retired(spot, known.run)), (kept, spot.data))
    again = " && ".join(to_paste("mv", str(old), str(name)) for old, name in moves)
    return Refused(
        f"the recovery {known.run} has made the cluster {new} of {spot.data}, and that is not there any more",
        state=f"nothing was changed; what it was made of is kept as {kept}",
        advice=f"where {new} lives on elsewhere, join it: its data is newer; only where it is gone everywhere, begin anew with "
        f"what is kept: {again}",
    )


def retire(data_dir: Path) -> None:
    """Gives the notes of an earlier recovery another name, where what it made was lost in turn."""
    spot = spot_of(data_dir)
    known = known_at(spot)
    if known is not None and known.placed is not None:
        folder_of(spot).rename(retired(spot, known.run))


@contextmanager
def locked(spot: Spot) -> Iterator[Path]:
    """Holds the folder of the recovery of one place, and yields it; a second run at once is refused."""
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
        yield folder
    finally:
        os.close(held)


def note_used(spot: Spot, run: str, by: Spot) -> None:
    """Notes beside data that a recovery holds which one it is: once that has made a new cluster, the old one must not serve."""
    told = {"format": _USED_FORMAT, "run": run, "recovery": str(by.data)}
    write_atomic(spot.folder / f"{spot.name}{_USED}{run}.json", json.dumps(told).encode() + b"\n", mode=0o600)


def _refuse_used_elsewhere(spot: Spot) -> None:
    """Raises `Refused` where a recovery holds this data beside its survivor's, and has made a cluster of that, or may."""
    for run in kept_runs(spot):
        note = spot.folder / f"{spot.name}{_USED}{run}.json"
        if not note.exists():
            continue
        try:
            told = read_object(read_at_most(note, _MOST_BYTES), str(note), RECORD)
        except BadDocument as error:
            raise Refused(error.what, state="nothing was changed", advice="look at it, and at what it is beside") from None
        by = spot_of(Path(text_of(told.get("recovery"))))
        found = (known_in(one) for one in (folder_of(by), retired(by, run)))
        known = next((one for one in found if one is not None and one.run == run), None)
        if known is not None and known.placed is None and not folder_of(by).exists():
            # That recovery was undone.
            continue
        what = "works with it" if known is not None and known.placed is None else "has made its cluster anew"
        raise Refused(
            f"the recovery {run} of {by.data} {what}: beside that the old cluster would serve again",
            state="nothing was changed",
            advice=f"keep it as it is; where that recovery is to be undone: {unfences(by)}",
        )


def unfences(spot: Spot) -> str:
    """Returns the command that ends a recovery of this data."""
    return to_paste("quorate", "etcd", "unfence", str(data_dir_of(spot)), "--not-recovered")


def data_dir_of(spot: Spot) -> Path:
    """Returns the data directory of a place: where that is a mount point, it is `member` in it that gets other names."""
    return spot.folder if spot.name == MEMBER else spot.data


def undo(data_dir: Path) -> Path:
    """Gives data that was held its name back, and ends a recovery of it that was cut off; returns the name that it had. Raises
    `Refused` where a recovery beside it has used it, and as `unfence`; `HostError` while one is at work."""
    spot = spot_of(data_dir)
    _refuse_used_elsewhere(spot)
    if not folder_of(spot).is_dir():
        return unfence(data_dir)
    with locked(spot) as folder:
        known = known_at(spot)
        if known is not None and known.placed is not None and known.run in kept_runs(spot) and not spot.data.exists():
            # The old cluster would serve again, beside what was made of it.
            raise _gone(spot, known)
        is_open = known is not None and known.placed is None
        if known is not None and is_open and _is_as_it_began(spot, known):
            # Cut off before anything was held.
            folder.rename(retired(spot, known.run))
            return spot.data
        was = unfence(data_dir, known.run if known is not None and is_open else "")
        if known is not None and is_open:
            distil.sweep(folder / WORK, SystemClock())
            folder.rename(retired(spot, known.run))
    return was


def _is_as_it_began(spot: Spot, known: Known) -> bool:
    if known.run in kept_runs(spot) or not spot.data.exists() or any(_is_held(one, known.run) for one in known.beside):
        return False
    return list(look(data_dir_of(spot)).last) == known.last


def _is_held(beside: str, run: str) -> bool:
    spot = spot_of(Path(beside))
    return (spot.folder / spot.kept(run)).exists()


def fence_alone(data_dir: Path, run: str) -> tuple[Fenced, Path]:
    """Fences as `fence`. Raises `Refused` where a recovery holds this data already: it would go on with it, beside the one that
    is given the fence's file."""
    spot = spot_of(data_dir)
    known = known_at(spot)
    if known is not None and known.placed is None and known.run in kept_runs(spot):
        raise Refused(
            f"the recovery {known.run} of {spot.data} was cut off, and goes on when its command is typed again",
            state="nothing was changed: the data is held by it",
            advice=f"end it first, so that it is one recovery that has this data: {unfences(spot)}",
        )
    if known is not None and known.placed is not None and known.run in kept_runs(spot) and not spot.data.exists():
        raise _gone(spot, known)
    return fence(data_dir, run)


def retired(spot: Spot, run: str) -> Path:
    return folder_of(spot).with_name(f"{spot.name}{_FOLDER}-{run}")
