"""Cluster views made by hand, for tests of the core; every voter that answers has answered a linearizable read."""

from __future__ import annotations

from collections.abc import Mapping

from quorate.core.membership import ClusterView, Member, MemberStatus, StatusResult

CLUSTER = 99


def url(number: int) -> str:
    return f"https://10.0.0.{number}:2380"


def answer(
    number: int, *, leader: int = 1, term: int = 3, commit: int = 100, applied: int = 100, learner: bool = False
) -> MemberStatus:
    return MemberStatus(number, CLUSTER, "3.6.16", leader, term, commit, applied, learner, 1000, 1000)


def member(number: int, *, learner: bool = False, started: bool = True) -> Member:
    clients = (f"https://10.0.0.{number}:2379",) if started else ()
    return Member(number, f"m{number}" if started else "", (url(number),), clients, learner)


def view(
    voters: int,
    *extra: Member,
    answers: Mapping[int, StatusResult] | None = None,
    taken_at: float = 0.0,
    cluster: int = CLUSTER,
) -> ClusterView:
    """`voters` members m1, m2, … and `extra` ones; everybody answers and m1 leads unless `answers` says otherwise."""
    members = (*(member(number) for number in range(1, voters + 1)), *extra)
    everybody: dict[int, StatusResult] = {row.id: answer(row.id, learner=row.is_learner) for row in members if row.started}
    replies = everybody if answers is None else answers
    read_by = frozenset(row.id for row in members if not row.is_learner and isinstance(replies.get(row.id), MemberStatus))
    return ClusterView(cluster, members, replies, taken_at, read_by=read_by)
