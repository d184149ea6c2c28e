"""Which row of etcd's member list is a member of this directory. A name proves nothing: a member of another machine may have
the same."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.membership import ClusterView, Member
from quorate.errors import Refused
from quorate.host.etcd_identity import UNREADABLE, DataIdentity, data_owner
from quorate.local.home import Home
from quorate.local.layout import Layout, MemberPaths
from quorate.local.state import LocalMember, State


def row_of(home: Home, view: ClusterView, member: LocalMember) -> Member | None:
    """Returns the row of the member that owns the local data, found by the ids in that data. A URL could miss the row after an
    operator corrected it, and a member without a row has its data deleted. Without data, the id that was saved counts, and the
    URL only where none was: each port is reserved for one member.

    Raises `Refused` when the data belongs to another cluster, or cannot be read.
    """
    paths = home.layout.member(member.name)
    owner = _owner(paths)
    if paths.has_data and (owner is None or owner.cluster_id != view.cluster_id):
        whose = f"belongs to cluster {owner.cluster_id:x}, not to {view.cluster_id:x}" if owner else "cannot be read"
        raise Refused(
            f"the data of {member.name} {whose}",
            state="nothing was changed",
            advice=f'eval "$(quorate local env {home.layout.option})" && quorate etcd remove {member.name}'
            f"    # keeps the data; or check {paths.data}",
        )
    return _found(view, member, owner)


def listed_row(home: Home, view: ClusterView, member: LocalMember) -> Member | None:
    """Returns the row as `row_of`. Data that cannot be read, or that is of another cluster, names no row and raises nothing."""
    owner = _owner(home.layout.member(member.name))
    return _found(view, member, owner if owner and owner.cluster_id == view.cluster_id else None)


def is_listed(home: Home, view: ClusterView, member: LocalMember) -> bool:
    """Returns whether the list has the member, as `listed_row` finds it."""
    return listed_row(home, view, member) is not None


def without_vote(home: Home, view: ClusterView) -> list[LocalMember]:
    """Returns the members whose join is unfinished and that have no vote yet: each becomes one voter more."""
    joining = [member for member in home.load().members if member.phase == "joining"]
    return [member for member in joining if listed_row(home, view, member) not in view.voters]


def _owner(paths: MemberPaths) -> DataIdentity | None:
    """Returns the ids in the data; None where there is none, or they cannot be read."""
    found = data_owner(paths.data)
    return None if found == UNREADABLE else found


def _found(view: ClusterView, member: LocalMember, owner: DataIdentity | None) -> Member | None:
    known = owner.member_id if owner else member.memory.member_id
    return view.by_id(known) if known else view.by_peer_urls((member.peer_url,))


def with_ids(layout: Layout, saved: State) -> State:
    """Returns the state with the id of every member whose data tells it, of the first member too: the data may be lost later,
    and the id is the only name that no other member ever gets."""
    for member in saved.members:
        owner = _owner(layout.member(member.name)) if member.phase == "member" else None
        if owner and owner.cluster_id == saved.cluster_id and owner.member_id != member.memory.member_id:
            known = replace(member.memory, member_id=owner.member_id, listed=True)
            saved = saved.with_member(member.remembering(known))
    return saved
