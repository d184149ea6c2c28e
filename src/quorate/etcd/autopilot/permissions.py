"""What the etcd user of an autopilot may do, asked before it begins: a right that is missing shows up otherwise with the first
voter that is lost. No change is sent to find out."""

from __future__ import annotations

from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.auth import ROOT, Range, Rights, covers, rights_of
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import EtcdError, LoginFailed, PermissionDenied
from quorate.etcd.cluster import Cluster
from quorate.spelling import spelled

_OURS = Range(b"/quorate/", b"/quorate0")
"""Its own records, those of joins and of the lock for removals, and the key of a proof."""
_SECONDS = 3.0


def check_rights(cluster: Cluster, *, changes: bool) -> None:
    """Raises `PermissionDenied`, which names each RPC that would be refused to the user. `changes`: members are to be changed.

    Only a user with a name can be asked about: for one that is the common name of a certificate, the first RPC that is refused
    ends the run. A cluster that does not answer now is left to the rounds.
    """
    try:
        user, rights = ask_anyone(cluster.access, cluster.endpoints, _rights, cluster.clock, seconds=_SECONDS)
    except (PermissionDenied, LoginFailed):
        raise
    except EtcdError:
        return
    if rights is None or not (refused := _refused(rights, changes=changes)):
        return
    needed = f"grant the role {ROOT}" if changes else "grant a role that may read and write below /quorate/"
    raise PermissionDenied(
        f"etcd would refuse the user {user} what an autopilot does: {'; '.join(refused)}",
        state="nothing was changed",
        advice=f"{needed} to {user}, or name a user who has it with {spelled('--user')}",
    )


def _rights(channel: Channel, seconds: float) -> tuple[str, Rights | None]:
    user = channel.user(seconds)
    return user, rights_of(channel, user, timeout=seconds) if user else None


def _refused(rights: Rights, *, changes: bool) -> list[str]:
    if rights.is_root:
        return []
    found: list[str] = []
    if not covers(rights.reads, _OURS):
        found.append("Range below /quorate/")
    if not changes:
        return found
    if not covers(rights.writes, _OURS):
        found.append("Put and DeleteRange below /quorate/")
    return [*found, f"MemberPromote, MemberRemove and MoveLeader, which need the role {ROOT}"]
