"""`quorate etcd unlock|adopt`: frees or takes over what runs hold in a cluster, or left there when they died."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.cli.etcd.completers import learner_names
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.opening import cluster_opened, cluster_to_change
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView, Member
    from quorate.etcd.coordination.pending_joins import PendingJoin
    from quorate.etcd.coordination.this_run import Origin

_REMOVALS = "removals"


@command()
@click.argument("which", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be freed; change nothing.")
@connection_options
@output_option()
def unlock(which: str | None, form: str, dry_run: bool) -> None:
    """Show pending joins and the lock for removals, or free those of WHICH.

    Pending joins wait, run or were interrupted. Learners that no join has are shown too: they hold a learner seat. WHICH is a
    member name, a run, a peer URL, or 'removals' for the lock.

    Freeing a join gives its place in the queue to the next join and deletes its record. The member list stays as it is. A run
    that loses the lock for removals notices this, and stops before it removes anything.

    \b
    Examples:
      quorate etcd unlock
      quorate etcd unlock node-d
      quorate etcd unlock removals
    """
    from quorate.core.new_member import freeing

    others: list[Member] = []
    view: ClusterView | None = None
    with cluster_opened() if which is None or dry_run else cluster_to_change() as cluster:
        if which is None or dry_run:
            found = [] if which == _REMOVALS else cluster.leftovers(which)
            view = None if which else cluster.with_standbys(cluster.look())
            others = _without_a_join(view, found) if view else []
            lock = cluster.held_lock() if which in (None, _REMOVALS) else None
        elif which == _REMOVALS:
            found, lock = [], cluster.unlock_removals()
        else:
            found, lock = cluster.unlock(which), None
    freed = which is not None and not dry_run and bool(found or lock)

    def table() -> None:
        if lock is not None:
            lives = "never expires" if lock.seconds is None else f"expires in {lock.seconds} s unless it is renewed"
            done = "freed the lock for removals" if freed else "the lock for removals"
            ended = ", whose process has ended" if _has_ended(lock.origin) else ""
            echo(f"{done}: {lock.change}, held by {lock.host} (pid {lock.pid}){ended}{'' if freed else f', {lives}'}")
        if lock is None and which == _REMOVALS:
            echo("the lock for removals is free")
        if not found and which != _REMOVALS:
            echo("no join is waiting, running or interrupted")
        if found:
            _show_joins(found, freed=freed)
        for one in others:
            assert view is not None
            what = (
                "is kept as a standby"
                if view.is_standby(one)
                else "has no join here (one of 'quorate local', of kubeadm or by hand leaves no record)"
            )
            echo(f"the learner {one.name or '(unstarted)'} at {one.peer_urls[0]} {what}; {freeing(view, [one])}")
        if dry_run:
            echo(NOTHING_DONE)

    shown = {"freed": freed, "joins": [one.as_dict() for one in found], "removalLock": lock.as_dict() if lock else None}
    rows = [{**one.as_dict(), "isStandby": view.member_fields(one)["isStandby"]} for one in others] if view else []
    more = {"learnersWithoutJoin": rows} if which is None else {}
    emit(form, "PendingJoins", {**shown, **more}, table)


def _without_a_join(view: ClusterView, found: list[PendingJoin]) -> list[Member]:
    """Returns the learners of which no join is known, as those of other tools, and standbys: they hold the learner seats as
    well."""
    known = {one.member.id for one in found if one.member is not None}
    return [one for one in view.learners if one.id not in known]


def _show_joins(found: list[PendingJoin], *, freed: bool) -> None:
    print_table(("MEMBER", "PEER URL", "STATE", "LISTED AS", "FROM", "RUN"), [_row(one) for one in found])
    if freed:
        echo("freed: the places of these joins in the queue, and their records")
        _say_what_stays(found)


def _say_what_stays(freed: list[PendingJoin]) -> None:
    for one in freed:
        if one.member is not None and one.member.is_learner:
            command = to_paste("quorate", "etcd", "remove", f"{one.member.id:x}")
            what = "learner" if one.ends_as == "voter" else "learner, which was to be a standby of the autopilot,"
            echo(f"the {what} {one.member.id:x} stays in the member list; remove it with: {command}")


def _row(one: PendingJoin) -> tuple[str, ...]:
    return (one.name, one.peer_url, _state(one), _listed(one), f"{one.host} (pid {one.pid})", one.run)


def _state(one: PendingJoin) -> str:
    """Returns what the run does. A place outlives a run that was killed, by ten seconds: it is not called running meanwhile
    where this host knows better."""
    if one.place is None or _has_ended(one.origin):
        return "interrupted"
    return "running" if one.place == 1 else f"waiting, number {one.place}"


def _has_ended(origin: Origin) -> bool:
    """Returns True only where it is certain: for a process of this host, of this boot and of our pid namespace."""
    from quorate.host import proc, process

    if not origin.boot_id or origin.pid <= 0 or origin.namespace != proc.pid_namespace():
        return False
    return process.has_ended(process.Identity(origin.pid, origin.started, origin.boot_id))


def _listed(one: PendingJoin) -> str:
    if one.member is None:
        return "not listed"
    return f"{'learner' if one.member.is_learner else 'voter'} {one.member.id:x}"


@command()
@click.argument("member", shell_complete=learner_names)
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Show what would be adopted; change nothing.")
@connection_options
@output_option()
def adopt(member: str, name: str, form: str, dry_run: bool) -> None:
    """Take over as NAME the learner MEMBER (name, hex id or peer URL) that a dead run or another tool left.

    Afterwards 'quorate etcd add NAME' finishes its join, or rolls the join back when it fails.

    \b
    Example:
      quorate etcd adopt 8e9e05c52164694d node-d
    """
    with cluster_to_change() as cluster:
        found = (cluster.check_adopt if dry_run else cluster.adopt)(member, name)
    url = found.peer_urls[0]
    then = to_paste("quorate", "etcd", "add", name, "--peer-urls", url)
    done = "would adopt" if dry_run else "adopted"

    def table() -> None:
        echo(f"{done} the learner {found.id:x} as {name}; finish its join with: {then}")
        if dry_run:
            echo(NOTHING_DONE)

    result = {"adopted": not dry_run, "id": f"{found.id:x}", "name": name, "peerURL": url, "next": then}
    emit(form, "AdoptResult", result, table)
