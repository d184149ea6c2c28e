"""What recoveries have left beside a data directory: how far each came, and what it keeps; and the end of what is kept.

Old data goes only once a cluster that was made of it has it on two members: the cluster itself says so, through its quorum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quorate.core.ids import format_id
from quorate.errors import ConfigError, HostError, PreflightFailed, QuorateError, Refused
from quorate.etcd.cluster import Cluster
from quorate.foreign import taking
from quorate.foreign.text import to_paste
from quorate.host.etcd_identity import MEMBER, DataIdentity, member_owner
from quorate.host.running_etcds import look_for_etcds
from quorate.offline.look import look
from quorate.recovery.fence import Spot, has_open, how_to_stop, kept_runs, spot_of
from quorate.recovery.judge_recovery import ETCD_RECOVER
from quorate.recovery.progress import JOURNAL, STEPS, Known, data_dir_of, folder_of, known_in, unfences
from quorate.recovery.settle import recovered_from

_LEAST_COPIES = 2
_OF_MEMBER = ("snap", "wal")
"""Where it is a `member` itself that is kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Data of an old member that is held. `run`: which put it aside; `cluster_id`, `member_id`: 0 where that cannot be read."""

    path: Path
    run: str
    cluster_id: int
    member_id: int

    def as_dict(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "run": self.run,
            "clusterId": format_id(self.cluster_id) if self.cluster_id else None,
            "memberId": format_id(self.member_id) if self.member_id else None,
        }


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """What is beside a data directory. `known`: by the journal, None without one; `there`: whose data is in its place; `next`:
    what to run, empty where nothing is left to be done."""

    data_dir: Path
    known: Known | None
    there: DataIdentity | None
    kept: tuple[Kept, ...]
    next: str

    def as_dict(self) -> dict[str, object]:
        known = self.known
        return {
            "dataDir": str(self.data_dir),
            "run": known.run if known is not None else None,
            "step": known.step if known is not None else None,
            "oldClusterId": format_id(known.old_cluster) if known is not None else None,
            "gone": list(known.gone) if known is not None else [],
            "clusterIdHere": format_id(self.there.cluster_id) if self.there is not None and self.there.cluster_id else None,
            "kept": [one.as_dict() for one in self.kept],
            "next": self.next or None,
        }


def state_of(data_dir: Path) -> RecoveryState:
    """Looks at what is beside a data directory; changes nothing. Raises `Refused` for notes of a newer version."""
    spot = spot_of(data_dir)
    known = known_in(folder_of(spot))
    kept = tuple(_kept(spot, known))
    return RecoveryState(data_dir, known, member_owner(data_dir), kept, _next(spot, known, kept))


def _kept(spot: Spot, known: Known | None) -> Iterator[Kept]:
    for run in kept_runs(spot):
        yield _kept_at(spot.folder / spot.kept(run), run)
    if known is None:
        return
    for one in known.beside:
        beside = spot_of(Path(one))
        if (path := beside.folder / beside.kept(known.run)).exists():
            yield _kept_at(path, known.run)


def _kept_at(path: Path, run: str) -> Kept:
    try:
        found = look(path)
    except ConfigError:
        return Kept(path, run, 0, 0)
    return Kept(path, run, found.cluster_id, found.member_id)


def _next(spot: Spot, known: Known | None, kept: tuple[Kept, ...]) -> str:
    place = str(data_dir_of(spot))
    if known is not None and known.placed is None:
        goes_on = to_paste("quorate", "etcd", "recovery", "resume", place) if known.by == ETCD_RECOVER else known.by
        return f"{goes_on}    # goes on; or, to give the old cluster its data back: {unfences(spot)}"
    if known is not None and not known.is_settled:
        return f"start its etcd, then: {to_paste('quorate', 'etcd', 'recovered', place)}"
    if names := _runs(spot, kept):
        runs = " ".join(f"--run {one}" for one in names)
        return f"once the new cluster has grown: {to_paste('quorate', 'etcd', 'recovery', 'clean', place)} {runs}"
    return ""


def _runs(spot: Spot, kept: Iterable[Kept]) -> list[str]:
    """Returns the runs of which something is left: data, or notes with the snapshot of it."""
    return list(dict.fromkeys([*(one.run for one in kept), *(known.run for _, known in _notes(spot))]))


def _notes(spot: Spot) -> Iterator[tuple[Path, Known]]:
    """Yields the folders of recoveries that are not open."""
    own = folder_of(spot)
    for folder in sorted(one for one in spot.folder.iterdir() if one == own or one.name.startswith(f"{own.name}-")):
        found = known_in(folder)
        if found is not None and (folder != own or found.placed is not None):
            yield folder, found


def open_run(data_dir: Path) -> Known:
    """Returns what is known of a recovery that was cut off. Raises `PreflightFailed` where there is none."""
    state = state_of(data_dir)
    if state.known is None or state.known.placed is not None:
        raise PreflightFailed(
            f"no recovery of {data_dir} was cut off",
            state="nothing was changed",
            advice=state.next or f"{to_paste('quorate', 'etcd', 'recovery', 'status', str(data_dir))} shows what is there",
        )
    return state.known


def clean(cluster: Cluster, data_dir: Path, runs: tuple[str, ...]) -> tuple[Path, ...]:
    """Deletes what these runs keep, with their notes; returns what is gone. Raises `Refused`, with nothing deleted, unless the
    cluster was made of that one, has this member and another voter, and both answer; `EtcdError`."""
    spot, state = spot_of(data_dir), state_of(data_dir)
    taking.settle(str(spot.folder))
    unknown = [one for one in runs if one not in _runs(spot, state.kept)]
    if unknown:
        raise PreflightFailed(
            f"nothing is kept of a run {unknown[0]!r}",
            state="nothing was deleted",
            advice=f"{to_paste('quorate', 'etcd', 'recovery', 'status', str(data_dir))} shows what is kept",
        )
    going = [one for one in state.kept if one.run in runs]
    notes = [(folder, known) for folder, known in _notes(spot) if known.run in runs]
    old = {one.cluster_id for one in going} | {known.old_cluster for _, known in notes}
    _refuse_needed(cluster, state, going, old)
    gone = [one.path for one in going]
    for one in going:
        _delete(one.path, one)
    for folder, _ in notes:
        _delete(folder, None)
        gone.append(folder)
    return tuple(gone)


def _refuse_needed(cluster: Cluster, state: RecoveryState, going: list[Kept], old: set[int]) -> None:
    if odd := [one.path for one in going if _is_odd(one.path)]:
        raise Refused(
            f"{odd[0]} is a link, or holds more than a member's data",
            state="nothing was deleted",
            advice="look at what is in it, and move that away",
        )
    if state.known is not None and (state.known.placed is None or not state.known.is_settled):
        raise Refused(
            f"the recovery {state.known.run} is not at its end: {STEPS.index(state.known.step) + 1} of {len(STEPS)} steps",
            state="nothing was deleted",
            advice=state.next,
        )
    if unread := [one for one in going if not one.cluster_id]:
        raise Refused(
            f"it cannot be read of which cluster {unread[0].path} is", state="nothing was deleted", advice="look at it by hand"
        )
    view = cluster.status()
    made_of = recovered_from(cluster, view.cluster_id) if view.linearizable else ()
    if foreign := old.difference(made_of):
        raise Refused(
            f"the cluster that answers, {format_id(view.cluster_id)}, does not say that it was made of "
            f"{format_id(min(foreign))}",
            state="nothing was deleted: it may be the only copy",
            advice="name the endpoints of the cluster that the recovery has made",
        )
    own = view.by_id(state.there.member_id) if state.there is not None else None
    if state.there is None or own is None or state.there.cluster_id != view.cluster_id:
        raise Refused(
            f"what is in {state.data_dir} is no member of {format_id(view.cluster_id)}",
            state="nothing was deleted",
            advice="run it where a member of the new cluster is",
        )
    copies = [one for one in view.voters if view.answer(one.id) is not None]
    if len(copies) < _LEAST_COPIES:
        raise Refused(
            f"the new cluster has {len(copies)} voter that answers: what is kept is the only other copy",
            state="nothing was deleted",
            advice="grow it first: 'quorate etcd add NAME', or 'quorate rejoin' on another node",
        )


def _is_odd(path: Path) -> bool:
    """Returns whether a kept folder leads elsewhere, or holds what no member has made."""
    return path.is_symlink() or bool({one.name for one in path.iterdir()} - {MEMBER, *_OF_MEMBER})


def _delete(path: Path, kept: Kept | None) -> None:
    """Deletes a folder as what was looked at: data of that member, on which no etcd runs; or the notes of a recovery."""

    def is_meant(taken: Path) -> bool:
        there = taken / path.name
        if kept is None:
            return (there / JOURNAL).is_file()
        if running := next((one for one in look_for_etcds().running if has_open(one, there)), None):
            raise HostError(
                f"an etcd runs on {path} (pid {running.pid})", state="nothing more was deleted", advice=how_to_stop(running)
            )
        try:
            found = look(there)
        except QuorateError:
            return False
        return (found.cluster_id, found.member_id) == (kept.cluster_id, kept.member_id)

    if not taking.take_named(str(path.parent), [path.name], is_meant):
        raise HostError(f"{path} is not what it was when this run looked: it was left as it is")
