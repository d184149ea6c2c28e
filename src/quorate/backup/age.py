"""How old the newest verified backup of each cluster is."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.backup.catalog import Catalog
from quorate.core.ids import format_id


@dataclass(frozen=True, slots=True)
class Age:
    """`seconds`: since the newest verified backup `id` of a cluster was taken. `is_old`: it is older than allowed, or of the
    future, which says that a clock is wrong."""

    cluster_id: int
    id: str
    seconds: float
    is_old: bool

    def as_dict(self) -> dict[str, object]:
        return {
            "clusterId": format_id(self.cluster_id),
            "newest": self.id,
            "ageSeconds": round(self.seconds),
            "tooOld": self.is_old,
        }


def ages(found: Catalog, cluster_id: int | None, wall: float, most: float) -> list[Age]:
    """Returns the age for each cluster that has a verified backup. `wall`: now, in unix seconds; `most`: seconds allowed."""
    newest: dict[int, Age] = {}
    for one in found.of(cluster_id):
        if one.is_whole and one.cluster_id not in newest:
            seconds = wall - one.taken_at.timestamp()
            newest[one.cluster_id] = Age(one.cluster_id, one.id, seconds, not -_SKEW_SECONDS <= seconds <= most)
    return list(newest.values())


_SKEW_SECONDS = 300.0
