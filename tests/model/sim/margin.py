"""How many failures a cluster survives, on its true links (facts of raft: a leader needs two-way links to quorum - 1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

from model.sim.etcd import SimCluster
from model.sim.machine import Machine

MOMENT_SECONDS = 8.0
"""Who has stood still for longer may be taken for dead; nobody can tell whether it ever goes on."""


def real_margin(cluster: SimCluster, *, paused_count: bool = False, without: Collection[int] = ()) -> int:
    """The largest f such that, whatever f voters fail, some up-to-date voter of the rest has two-way links to a quorum of
    the rest; -1 when that fails for f = 0.

    With `paused_count` a process that stands still for a moment is as good as one that runs; `without`: as if these ids had no
    vote.
    """
    voters = [cluster.machine_of(row.id) for row in cluster.state.voters if row.id not in without]
    names = list(range(len(voters)))
    links = [[_linked(cluster, one, other, paused_count) for other in voters] for one in voters]
    margin = -1
    for failures in range(len(voters)):
        if not all(_has_leader(cluster, voters, links, set(names) - set(gone)) for gone in combinations(names, failures)):
            break
        margin = failures
    return margin


def _has_leader(cluster: SimCluster, voters: Sequence[Machine | None], links: list[list[bool]], left: set[int]) -> bool:
    quorum = len(voters) // 2 + 1
    for index in left:
        one = voters[index]
        if one is None or one.logged < cluster.last:
            continue
        if sum(links[index][other] for other in left) >= quorum:
            return True
    return False


def _linked(cluster: SimCluster, one: Machine | None, other: Machine | None, paused_count: bool) -> bool:
    if one is None or other is None:
        return False
    if not paused_count:
        return cluster.linked(one, other)
    alive = all(_is_alive(cluster, end) for end in (one, other))
    return alive and not {(one.name, other.name), (other.name, one.name)} & cluster.cuts.keys()


def _is_alive(cluster: SimCluster, one: Machine) -> bool:
    stood_still = cluster.clock.world - one.paused_at
    return one.condition == "running" or (one.condition == "paused" and stood_still < MOMENT_SECONDS)
