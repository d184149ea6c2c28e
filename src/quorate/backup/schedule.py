"""Saves and prunes again and again, where no timer of systemd does so: in a pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quorate.backup.claims import claim
from quorate.backup.manifest import Manifest
from quorate.backup.prune import Pruner
from quorate.backup.save import HowStored, Wish, save
from quorate.backup.store import Store
from quorate.core.backup_source import choose
from quorate.deadline import SystemClock, utc
from quorate.errors import Interrupted, QuorateError
from quorate.etcd.cluster import Cluster
from quorate.report import Notice, Report

_LEAST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did. `at`: unix seconds; `saved`: None where another host has this period, named by `claimed_by`, and
    where it failed; `deleted`: the ids of backups that no rule keeps any more; `failed`: why it ended early."""

    at: float
    saved: Manifest | None = None
    claimed_by: str = ""
    deleted: Sequence[str] = ()
    failed: QuorateError | None = None

    def as_dict(self) -> dict[str, object]:
        """Returns the round as `-o json` shows it."""
        return {
            "at": utc(self.at),
            "saved": self.saved.id if self.saved is not None else None,
            "claimedBy": self.claimed_by or None,
            "deleted": list(self.deleted),
            "error": self.failed.as_dict() if self.failed is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Period:
    """One backup in each period of `every` seconds; this host is `host`."""

    every: float
    host: str


def save_in_period(cluster: Cluster, store: Store, wish: Wish, how: HowStored, period: Period | None) -> Manifest | str:
    """Saves one backup, or returns who has the present period; without a period it is saved in any case. Raises as `save`."""
    view = cluster.look()
    # What cannot be saved takes no period.
    choose(cluster.with_standbys(view), wish.source, allow_no_quorum=wish.allow_no_quorum)
    other = claim(store, view.cluster_id, period.every, cluster.clock.wall(), period.host) if period is not None else ""
    return other or save(cluster, store, wish, how)


@dataclass(frozen=True, slots=True)
class Job:
    """What is done in each round."""

    period: Period
    how: Callable[[], HowStored]
    pruner: Pruner

    def round(self, cluster: Cluster) -> Round:
        """Saves, unless another host has this period, and then prunes. Raises as these do."""
        made = save_in_period(cluster, self.pruner.store, Wish(), self.how(), self.period)
        _, deleted = self.pruner.prune()
        saved, other = (None, made) if isinstance(made, str) else (made, "")
        return Round(cluster.clock.wall(), saved, other, deleted)


def rounds(do: Callable[[], Round], every: float, clock: SystemClock, report: Report) -> Iterator[Round]:
    """Yields each round, four in a period: where one fails, or the host that has the period, a later one saves. Raises what a
    stop raises, and nothing else."""
    pause = max(_LEAST_SECONDS, every / 4)
    while True:
        try:
            done = do()
        except Interrupted:
            raise
        except QuorateError as error:
            done = Round(clock.wall(), failed=error)
            report(Notice(f"{error.what}; tried again in {pause:.0f} s", "warning"))
        yield done
        clock.sleep(pause)
