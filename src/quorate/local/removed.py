"""Which members of this directory somebody else removed from the cluster. Etcd says so: in a list that was read through the
quorum, or by the last words of the member. One member's own copy of the list proves nothing."""

from __future__ import annotations

from contextlib import suppress

from quorate.core.membership import ClusterView
from quorate.errors import ConfigError, HostError, Refused
from quorate.etcd.client.errors import EtcdError
from quorate.local.home import Home
from quorate.local.rows import is_listed
from quorate.local.runtime import REMOVED, describe
from quorate.local.state import LocalMember
from quorate.report import Notice


def removed_from(home: Home, view: ClusterView) -> list[LocalMember]:
    """Returns the members of this directory that the list lacks; none when it was not read through the quorum, or is that of
    another cluster."""
    saved = home.load()
    if not view.linearizable or view.cluster_id != saved.cluster_id:
        return []
    return [row for row in saved.members if row.phase in ("member", "standby") and not is_listed(home, view, row)]


def removed_now(home: Home) -> set[str]:
    """Returns the names of the members that are removed, as far as it can be known before any is started: by the list, when
    those that run give a quorum, and by what an ended member said."""
    members = home.load().members
    said = {row.name for row in members if row.phase in ("member", "standby") and home.daemon(row.name).ended_by_removal()}
    return said | _lacked(home)


def removed_as_far_as_known(home: Home) -> set[str]:
    """Returns the same for a command that only shows: a process whose record cannot be read proves no removal."""
    names = {row.name for row in home.load().members if describe(home.daemon(row.name)) == REMOVED}
    with suppress(HostError):
        names |= removed_now(home)
    return names


def refuse_removed(home: Home, name: str) -> None:
    """Raises `Refused` for a member that the list lacks. Its last words do not count: its data may have been restored since."""
    if name in _lacked(home):
        raise removed(home, name)


def removed(home: Home, name: str) -> Refused:
    """Returns the error for a verb on a member that was removed from the cluster."""
    return Refused(
        f"{name} was removed from the cluster, so its etcd can only end",
        state="only its data and its files are left",
        advice=f"{_leave(home, name)}    # deletes them",
    )


def report_removed(home: Home, view: ClusterView) -> None:
    """Reports the members that the list lacks, and what deletes their data."""
    for gone in removed_from(home, view):
        leave = _leave(home, gone.name)
        home.report(Notice(f"{gone.name} was removed from the cluster: '{leave}' deletes its data", "warning"))


def _lacked(home: Home) -> set[str]:
    if not home.running():
        return set()
    try:
        return {row.name for row in removed_from(home, home.look())}
    except (EtcdError, ConfigError):
        # A missing client certificate is created again at the start.
        return set()


def _leave(home: Home, name: str) -> str:
    return f"quorate local leave {name} {home.layout.option}"
