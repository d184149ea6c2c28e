"""Takes a member of this directory off the list of etcd: what `leave` and its dry run do before any data is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from quorate.core.decide_remove import RemoveGoal
from quorate.errors import Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.cluster import no_note
from quorate.etcd.membership.executor import Note
from quorate.etcd.membership.removal_judge import RemovePolicy
from quorate.etcd.membership.remove import Removal
from quorate.host import ports
from quorate.local import lost
from quorate.local.home import Home
from quorate.local.rows import row_of
from quorate.local.start import wait_for_leader
from quorate.local.state import LocalMember


def remove(home: Home, member: LocalMember, policy: RemovePolicy) -> bool:
    """Removes the member from the list; returns whether that took a vote. A learner has none, and one that the list lacks has
    been removed before."""
    wait_for_leader(home)
    with home.access() as access, home.journal() as note, _removal(home, access, member, policy, note) as found:
        if found is None:
            return False
        found.removal.run()
        return found.has_vote


@dataclass(frozen=True, slots=True)
class _Found:
    """The removal of a member that is listed. `has_vote`: at the look before it."""

    removal: Removal
    has_vote: bool


@contextmanager
def _removal(
    home: Home, access: Access, member: LocalMember, policy: RemovePolicy, note: Note = no_note
) -> Iterator[_Found | None]:
    """Yields the removal of the member from the list; None where the list lacks it. Raises a refusal with what helps in this
    directory."""
    view = home.observe(access)
    listed = row_of(home, view, member)
    if listed is None and view.linearizable:
        yield None
        return
    try:
        if listed is None:
            unread = f"cannot read whether {member.name} is a member: there is no quorum"
            raise Refused(unread, state="nothing was changed", advice=f"quorate local status {home.layout.option}")
        policy = replace(policy, ended=_has_ended(home, member))
        goal = RemoveGoal(listed.id, member.name)
        yield _Found(Removal(access, home.clock, home.seeds(), goal, home.report, note, policy), not listed.is_learner)
    except Refused as error:
        raise lost.explained(home, error) from None


def _has_ended(home: Home, member: LocalMember) -> bool:
    """Returns whether the member is known not to run. That there is no record of its process shows nothing: somebody may have
    deleted it. An etcd that runs, or hangs, holds its ports; that of the original where this directory is a copy."""
    without = home.daemon(member.name).identity() is None
    return without and all(ports.is_free(port) for port in (member.peer_port, member.client_port))


def check(home: Home, name: str, *, accept_reduced_tolerance: bool = False) -> None:
    """Raises what `leave` would raise before its first change."""
    member = home.load().member(name)
    with (
        home.access() as access,
        _removal(home, access, member, RemovePolicy(accept_reduced_tolerance=accept_reduced_tolerance)) as found,
    ):
        if found is not None:
            found.removal.check()
