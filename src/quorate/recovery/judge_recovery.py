"""Looks at everything that a recovery needs, and decides; changes nothing. So a dry run judges what the run does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from quorate.core.decide_recovery import (
    AskGone,
    Found,
    Recover,
    RecoveryRefused,
    RecoveryWish,
    State,
    Survivor,
    configurations,
    decide_recovery,
)
from quorate.core.decide_restore import Content, Place, Wish, against
from quorate.core.ids import format_id
from quorate.core.versions import Version
from quorate.errors import PreflightFailed, Refused
from quorate.etcd.observation.diagnose import listens
from quorate.foreign.text import to_paste
from quorate.host.etcd_binary import EtcdBinary
from quorate.host.etcd_identity import MEMBER
from quorate.host.work_folder import free_bytes
from quorate.offline.look import Look
from quorate.recovery import twin
from quorate.recovery.fence import Spot, refuse_not_held, refuse_running, spot_of
from quorate.recovery.restore import distrusted, strays
from quorate.recovery.survivors import Fenced, names_in, survivor_in

ETCD_RECOVER = "quorate etcd recover"


@dataclass(frozen=True, slots=True)
class RecoveryJob:
    """What is recovered, and how. `data_dir`: where the new voter's etcd will look: that of the survivor with the newest log;
    `beside`: the data directories of other members on this host; `fenced`: what other hosts' fences wrote; `gone`: names or
    ids of members that never come back; `stops`: of these directories, those whose etcd the caller ends before it recovers;
    `by`: the command that does it, which goes on with it."""

    data_dir: Path
    etcd: EtcdBinary
    etcdutl: Path
    name: str
    peer_url: str
    quota: int
    beside: tuple[Path, ...] = ()
    fenced: tuple[Fenced, ...] = ()
    gone: tuple[str, ...] = ()
    stops: tuple[Path, ...] = ()
    wish: RecoveryWish = field(default_factory=RecoveryWish)
    by: str = ETCD_RECOVER


@dataclass(frozen=True, slots=True)
class Judged:
    """What a look at everything has decided. `gone`: who was attested to be gone, by name."""

    decision: Recover
    looks: tuple[Look, ...]
    gone: tuple[str, ...]


def judge_recovery(job: RecoveryJob, run: str = "") -> Judged:
    """Looks at all survivors and decides; changes nothing. `run`: of a recovery that goes on, which may have held some of them.
    Raises `Refused`, `PreflightFailed` with what has to be attested."""
    places = [where(spot_of(one), run) for one in (job.data_dir, *job.beside)]
    stopped = {where(spot_of(one), run) for one in job.stops}
    for place in places:
        if place not in stopped:
            # The service of the survivor can be held by this command.
            can_hold = job.by == ETCD_RECOVER and place == places[0]
            (refuse_not_held if can_hold else refuse_running)(place)
    here = [survivor_in(one) for one in places]
    looks = tuple(found for _, found in here)
    survivors = (*(one for one, _ in here), *(one.survivor for one in job.fenced))
    names = names_in(looks, job.fenced)
    ending = {one.member_id for one in looks if one.path in stopped}
    answering = [one for one in _answering(looks) if one not in ending]
    held = {one.member_id for one in survivors if one.member_id}
    states: dict[int, State] = dict.fromkeys(held, "held")
    states |= {member: "lives" if member in held else "answers" for member in answering}
    found = Found(survivors, states, names)
    gone = _ids(job.gone, names, found)
    decision = decide_recovery(found, replace(job.wish, gone=frozenset(gone)))
    if isinstance(decision, RecoveryRefused):
        raise Refused(decision.why, state="nothing was changed", advice=decision.advice)
    if isinstance(decision, AskGone):
        raise _asked(decision, found)
    _refuse_misplaced(job, decision.survivor, looks)
    _refuse_unrestorable(job, looks[0], decision.seen)
    twin.may_isolate()
    return Judged(decision, looks, tuple(found.name(one) for one in gone))


def _answering(looks: Sequence[Look]) -> list[int]:
    """Returns the members at whose URLs something takes connections. One that is cut off from here does not, and may serve:
    that is what an operator is asked about."""
    newest = max(looks, key=lambda one: one.last)
    members = newest.backend.members if newest.backend is not None else ()
    return [one.id for one in members if any(map(listens, (*one.peer_urls, *one.client_urls)))]


def where(spot: Spot, run: str) -> Path:
    """Returns where the data of a member is: under its own name, or the one that this run has given to it."""
    kept = spot.folder / spot.kept(run)
    if run and kept.exists():
        return kept
    return spot.folder if spot.name == MEMBER else spot.data


def _ids(given: tuple[str, ...], names: Mapping[int, str], found: Found) -> tuple[int, ...]:
    """Returns the members that were named. Raises `PreflightFailed` for a name that no survivor knows."""
    known = frozenset().union(*configurations(found)) | names.keys()
    by_name = {name: member for member, name in names.items()}
    by_id = {format_id(member): member for member in known} | {f"{member:x}": member for member in known}
    unknown = [one for one in given if one not in by_name and one not in by_id]
    if unknown:
        raise PreflightFailed(
            f"no survivor knows a member {unknown[0]!r}",
            state="nothing was changed",
            advice=f"these are known: {', '.join(sorted(map(found.name, known)))}",
        )
    return tuple(dict.fromkeys(by_name.get(one) or by_id[one] for one in given))


def _asked(ask: AskGone, found: Found) -> PreflightFailed:
    who = [found.name(member) for member in ask.members]
    number = "it" if len(who) == 1 else "each of them"
    return PreflightFailed(
        f"the cluster may live elsewhere, or be newer there: nothing is known of {', '.join(who)}",
        state="nothing was changed",
        advice=f"if the machine of {number} is off, and its disk never comes back, say so: "
        f"{' '.join(to_paste('--gone', one) for one in who)}; where its data can be reached, hold it there with "
        "'quorate etcd fence DIR', and pass the file that this writes with --fenced",
    )


def _refuse_misplaced(job: RecoveryJob, survivor: Survivor, looks: tuple[Look, ...]) -> None:
    """Raises `Refused` where the newest log is in another directory than the one that the new voter will have."""
    newest = looks[0]
    # Not by the member alone: of two copies of one the older was used, and all that came between was lost.
    if (newest.member_id, newest.last) != (survivor.member_id, survivor.last):
        other = next(str(one.path) for one in looks if (one.member_id, one.last) == (survivor.member_id, survivor.last))
        raise Refused(
            f"{survivor.name} in {other} has the newest log, and {job.data_dir} has not",
            state="nothing was changed",
            advice=f"name {other} first, with the name and peer URL of its member",
        )
    backend = newest.backend
    version = (backend.storage_version or backend.cluster_version) if backend is not None else ""
    if version and Version.told(version).series != job.etcd.version.series:
        raise Refused(
            f"{newest.path} was written by etcd {version}, and {job.etcd.path} is {job.etcd.version}",
            state="nothing was changed",
            advice="pass an etcd of the same minor version with --etcd: it applies the log",
        )


def _refuse_unrestorable(job: RecoveryJob, newest: Look, seen: int) -> None:
    """Raises `Refused` for what would end the last step, while nothing is changed yet."""
    distrusted(job.etcdutl)
    spot = spot_of(job.data_dir)
    backend = newest.backend
    told = (backend.storage_version or backend.cluster_version) if backend is not None else ""
    content = Content(
        # A copy of all, a snapshot of it, and what is built of that.
        size=newest.size,
        digest="right",
        revision=max(newest.revision, seen),
        keys=0,
        written_by=Version.told(told) if told else None,
        corrupt=False,
        no_space=False,
    )
    beside = strays(spot.folder) if spot.name == MEMBER else []
    free = free_bytes(spot.folder)
    copied = newest.size + _bytes_below(newest.path)
    place = Place(str(job.data_dir), "something else" if beside else "nothing", 0, None if free is None else free - copied)
    found = against(content, place, Wish(job.etcd.version, job.quota, job.peer_url, set_aside=False))
    if found:
        raise Refused(
            "; ".join(one.why for one in found), state="nothing was changed", advice="; ".join(one.advice for one in found)
        )


def _bytes_below(folder: Path) -> int:
    """Returns how much a copy of a data directory takes: its log, too, and files that an etcd has left."""
    found = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found += (Path(path) / name).lstat().st_size
    return found
