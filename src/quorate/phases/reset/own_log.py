"""What the log of this node's member says once its etcd has ended: whether it is the only one of its cluster.

It is the last look before the data is deleted, and asks no member: an answer is as old as the run that got it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core.ids import format_id
from quorate.errors import QuorateError, Refused
from quorate.foreign.taking import TAKEN
from quorate.foreign.text import to_paste
from quorate.host.etcd_identity import MEMBER
from quorate.offline.look import look
from quorate.offline.members_seen import Configuration, in_force
from quorate.phases.base.node_files import real_path
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.left_note import LEFT
from quorate.phases.node.static_pods import manifest_path
from quorate.phases.reset.state import ResetRun


@dataclass(frozen=True, slots=True)
class _Seen:
    """`configurations`: all that the log shows; `committed`: an index up to which it knows that all is."""

    configurations: Sequence[Configuration]
    committed: int


def refuse_not_alone(run: ResetRun, etcd: LocalEtcd) -> None:
    """Raises `Refused` where the log of the member, which has ended, does not show it as the only one: others joined since it
    was asked, and without it they have no quorum. Its data and its manifest stay, the latter in the note."""
    if run.owner is None:
        return
    member = run.owner.member_id
    seen = _seen(run, etcd, "was the only member when a reset looked")
    # A removal that was not committed makes nobody the only one: who was to be removed may still be there, without a quorum.
    possible = in_force(seen.configurations, max(seen.committed, run.committed))
    members = frozenset[int]().union(*(one.voters | one.learners for one in possible))
    if member in members and members != {member}:
        others = ", ".join(sorted(map(format_id, members - {member})))
        raise _refused(f"was the only member when a reset looked, and {others} joined since")


def _seen(run: ResetRun, etcd: LocalEtcd, was: str) -> _Seen:
    data_dir = real_path(run.tree, etcd.data_dir)
    try:
        # What an earlier run had taken away, to delete it, is where that put it.
        found = look(data_dir if (data_dir / MEMBER).is_dir() else data_dir / TAKEN)
    except QuorateError as error:
        raise _refused(f"{was}; its log cannot be read by now: {error.what}") from error
    # Behind a record that is torn or damaged there may be others, which added a member.
    torn = found.log.torn if found.log is not None else "it has no log"
    wrong = [*found.problems, *([torn] if torn else []), *([] if found.seen else ["it shows no member"])]
    if wrong or found.log is None:
        raise _refused(f"{was}; its log cannot be read by now: {'; '.join(wrong)}")
    return _Seen(found.seen, found.log.commit)


def _refused(why: str) -> Refused:
    return Refused(
        f"this node's etcd {why}",
        state=f"its data was not touched; its manifest is in {LEFT}",
        advice=f"to start it again: {to_paste('mv', LEFT, manifest_path('etcd'))}; then run the same command again, which "
        "removes its member from its cluster first; or, if that cluster is lost anyway: --abandon-etcd-member",
    )
