"""How far a recovery came: its folder beside the data, what its journal says, and what that is worth by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.core.ids import format_id, parse_id
from quorate.errors import ConfigError, Refused
from quorate.foreign.text import to_paste
from quorate.foreign.values import integer_of, text_of
from quorate.host.etcd_identity import MEMBER
from quorate.journal import Record
from quorate.journal import read as read_journal
from quorate.offline.look import look
from quorate.recovery.fence import Spot, spot_of, unfence
from quorate.recovery.judge_recovery import where

_FOLDER = ".quorate-recovery"
JOURNAL = "journal"
BEGUN, FENCED, DISTILLED, PLACED = "begun", "fenced", "distilled", "placed"


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
    """What the journal says of this recovery."""

    run: str
    old_cluster: int
    member: int
    seen: int
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    beside: tuple[str, ...]
    last: object = None
    applied: int = 0
    unknown: int = 0
    placed: Mapping[str, object] | None = None

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
                )
            elif known is not None and one.kind == DISTILLED:
                known = replace(known, applied=integer_of(fields.get("applied")), unknown=integer_of(fields.get("unknown")))
            elif known is not None and one.kind == PLACED:
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


def known_at(spot: Spot) -> Known | None:
    """Returns what the journal of a place says; None where no recovery began there."""
    return Known.of(read_journal(folder_of(spot) / JOURNAL))


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


def run_at(data_dir: Path) -> str:
    """Returns the run of a recovery that was cut off in a directory; empty where there is none."""
    known = known_at(spot_of(data_dir))
    return known.run if known is not None and known.placed is None else ""


def refuse_used(spot: Spot, known: Known) -> None:
    """Raises `Refused` where an etcd has run on what an earlier recovery made: the same command would make it anew."""
    there = look(spot.folder if spot.name == MEMBER else spot.data)
    if list(there.last) != (known.placed or {}).get("last"):
        raise Refused(
            f"{spot.data} was recovered before (run {known.run}), and is in use since",
            state="nothing was changed",
            advice=f"is it lost again? {to_paste('mv', str(folder_of(spot)), str(retired(spot, known.run)))}; then run the "
            "same command again",
        )


def retire(data_dir: Path) -> None:
    """Gives the notes of an earlier recovery another name, where what it made was lost in turn."""
    spot = spot_of(data_dir)
    known = known_at(spot)
    if known is not None and known.placed is not None:
        folder_of(spot).rename(retired(spot, known.run))


def undo(data_dir: Path) -> Path:
    """Gives data that was held its name back, and ends a recovery of it that was cut off; returns the name that it had. Raises
    `Refused` where a recovery beside it has used it, and as `unfence`."""
    spot = spot_of(data_dir)
    for path in sorted(spot.folder.parent.glob(f"*/*{_FOLDER}/{JOURNAL}")) + sorted(spot.folder.glob(f"*{_FOLDER}/{JOURNAL}")):
        other = Known.of(read_journal(path))
        if other is not None and other.placed is not None and str(spot.data) in other.beside:
            raise Refused(
                f"the cluster of {spot.data} was made anew by the recovery {other.run}, beside which it would serve again",
                state="nothing was changed",
                advice=f"keep it as it is; {path.parent} says what was made",
            )
    was = unfence(data_dir)
    known = known_at(spot)
    if known is not None and known.placed is None:
        folder_of(spot).rename(retired(spot, known.run))
    return was


def retired(spot: Spot, run: str) -> Path:
    return folder_of(spot).with_name(f"{spot.name}{_FOLDER}-{run}")
