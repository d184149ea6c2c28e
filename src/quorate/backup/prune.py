"""Deletes what a keep rule does not keep, and the rubbish of killed runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from quorate.backup import claims
from quorate.backup.catalog import Catalog, catalog, file_of
from quorate.backup.content import Opener
from quorate.backup.manifest import SUFFIX, Manifest
from quorate.backup.store import Store, Stored
from quorate.backup.verify import Checked, read_again, verify
from quorate.core.ids import format_id
from quorate.core.retention import Keep, Kept, Pruning, judge
from quorate.deadline import SystemClock
from quorate.report import Notice, Report

_RUBBISH_SECONDS = 24 * 3600
"""A run that saves a large database over a slow link is not killed by the prune of another host."""


@dataclass(frozen=True, slots=True)
class ClusterPruning:
    """The verdicts on the backups of one cluster."""

    cluster_id: int
    pruning: Pruning


@dataclass(frozen=True, slots=True)
class Plan:
    """`clusters`: by cluster. `rubbish`: files that were never finished, and are old."""

    clusters: tuple[ClusterPruning, ...]
    rubbish: tuple[Stored, ...]


def plan(found: Catalog, keep: Keep, wall: float, *, most_age: timedelta | None) -> Plan:
    """Judges each cluster by itself: the backups of one that is gone are not eaten by those of another."""
    now = datetime.fromtimestamp(wall, UTC)
    clusters = [
        ClusterPruning(one, judge([_kept(row) for row in found.of(one)], keep, now, most_age=most_age))
        for one in sorted({row.cluster_id for row in found.backups})
    ]
    return Plan(tuple(clusters), tuple(one for one in found.unfinished if wall - one.modified > _RUBBISH_SECONDS))


def _kept(one: Manifest) -> Kept:
    return Kept(one.id, one.taken_at, one.is_whole, one.damaged is not None)


Read: TypeAlias = Callable[[Manifest], Checked]
"""Reads a backup again."""


def proved(found: Catalog, decide: Callable[[Catalog], Plan], read: Read) -> tuple[Catalog, Plan]:
    """Returns the plan, and the catalog that it is of, once each backup for which others go was read again and is whole. It was
    verified when it was saved; damaged since, it would be all that is left."""
    known: dict[str, Manifest] = {}
    while True:
        decided = decide(found)
        leant_on = {one.pruning.leans_on for one in decided.clusters if one.pruning.goes()} - known.keys()
        if not leant_on:
            return found, decided
        known |= {one.id: read(one).manifest for one in found.backups if one.id in leant_on}
        found = replace(found, backups=tuple(known.get(one.id, one) for one in found.backups))


@dataclass(frozen=True, slots=True)
class Pruner:
    """A prune of one store. `most_age`: of the newest verified backup, in seconds; where it is older nothing is deleted. Both
    raise `HostError` and `CannotUnpack`; nothing was deleted then."""

    store: Store
    keep: Keep
    most_age: float
    opener: Opener
    clock: SystemClock
    report: Report

    def prune(self) -> tuple[Plan, list[str]]:
        """Deletes what `keep` does not keep; returns the plan, and the ids of what is gone. What is leant on is read again
        before, and what that found is noted."""
        wall = self.clock.wall()
        found, decided = self._proved(lambda one: verify(self.store, one, self.opener, self.clock))
        return decided, carry_out(self.store, found, decided, wall)

    def plan(self) -> Plan:
        """Returns what `prune` would do; it changes nothing."""
        return self._proved(lambda one: read_again(self.store, one, self.opener, self.clock))[1]

    def _proved(self, read: Read) -> tuple[Catalog, Plan]:
        wall, age = self.clock.wall(), timedelta(seconds=self.most_age)

        def read_leant_on(manifest: Manifest) -> Checked:
            self.report(Notice(f"reading {manifest.id} again, for which others go"))
            return read(manifest)

        return proved(catalog(self.store), lambda one: plan(one, self.keep, wall, most_age=age), read_leant_on)


def carry_out(store: Store, found: Catalog, decided: Plan, wall: float) -> list[str]:
    """Deletes, also the claims of periods that are long over; returns the ids of what is gone. The manifest goes first: a run
    that is killed in between leaves a file without one, which the next one takes for what it is."""
    goes = {one for cluster in decided.clusters for one in cluster.pruning.goes()}
    for manifest in found.backups:
        if manifest.id in goes:
            store.delete(manifest.id + SUFFIX)
            for one in manifest.files:
                store.delete(file_of(manifest, one))
    for stored in decided.rubbish:
        store.delete(stored.name)
    claims.sweep(store, wall)
    return sorted(goes)


def as_dict(decided: Plan, gone: Sequence[str], *, dry_run: bool) -> dict[str, object]:
    """Returns the plan as `-o json` shows it."""
    return {
        "dryRun": dry_run,
        "clusters": [
            {
                "clusterId": format_id(one.cluster_id),
                "refused": one.pruning.refused or None,
                "backups": [{"id": row.id, "keptAs": list(row.reasons)} for row in one.pruning.verdicts],
            }
            for one in decided.clusters
        ],
        "unfinished": [one.name for one in decided.rubbish],
        "deleted": list(gone),
    }
