"""The verbs of a local cluster: up, join, leave, down, and the faults kill, stop, start, pause and resume."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from quorate.core.invariants import Succession
from quorate.core.membership import ClusterView, size_advice
from quorate.core.outcome import Unchanged
from quorate.errors import ConfigError, PreflightFailed, QuorateError, Refused, having_done
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership.join_state import JoinResult
from quorate.etcd.membership.removal_judge import RemovePolicy
from quorate.files import remove_file, remove_tree
from quorate.host import process
from quorate.host.process import Identity
from quorate.local import growth, lost, removal, replacement
from quorate.local.grow import grow_by, having_joined, refuse_unfit
from quorate.local.home import Home
from quorate.local.layout import check_name
from quorate.local.recovered import clean_recovered
from quorate.local.removed import refuse_removed, removed, report_removed
from quorate.local.rows import row_of, without_vote
from quorate.local.size import check_room, check_size, having_started, refuse_shrinking, voters_before, voters_of
from quorate.local.start import (
    load_or_create,
    runs_already,
    start_members,
    start_one,
    wait_for_leader,
    wait_for_quorum,
    wait_until_up,
)
from quorate.local.state import LocalMember, State
from quorate.report import Event, Notice

_DEFAULT_MEMBERS = 3


@dataclass(frozen=True, slots=True)
class GrowResult:
    """The result of `up` and `join`: the new joins, the members started again, and the cluster as it is now."""

    joined: tuple[JoinResult, ...]
    restarted: tuple[str, ...]
    view: ClusterView


@dataclass(frozen=True, slots=True)
class LeaveResult:
    """The result of `leave`: the cluster after it, None when no member answers then. `took_vote`: a voter was removed."""

    view: ClusterView | None
    took_vote: bool


def up(home: Home, wanted: int | None = None, etcd: str | None = None) -> GrowResult:
    """Brings the cluster to `wanted` voters, all running; changes nothing when it has them. None keeps the present size, and
    means three for a new cluster.

    Raises `Refused` when the cluster has more (members are removed only by name), `ConfigError` for an impossible number, and
    the errors of the join; see `quorate.etcd.membership.join`.
    """
    if wanted is not None:
        check_size(home, wanted)
    with home.created("local up", etcd):
        asked_for = growth.asked_for(home.layout)
        if wanted is not None:
            refuse_shrinking(home, voters_before(home), wanted)
        growth.begin(home.layout, wanted or asked_for or (0 if home.was_there else _DEFAULT_MEMBERS))
        _finish_leaving(home, load_or_create(home, etcd))
        replacement.overtaken(home)
        started = start_members(home)
        view = wait_for_quorum(home)
        clean_recovered(home, view.cluster_id)
        report_removed(home, view)
        # A record of fewer than there are is reached: members may have been added since it was made.
        size = wanted or (max(asked_for, len(view.voters)) if asked_for else _present_size(home, view))
        if len(view.voters) > size:
            growth.restore(home.layout, asked_for)
        with having_started(started):
            refuse_shrinking(home, voters_of(view), size)
        _advise(home, size)
        try:
            grown = _grown(home, _names_to_join(home, view, size), etcd, started, view)
        except PreflightFailed:
            growth.restore(home.layout, asked_for)
            raise
        growth.reached(home.layout)
        return grown


def _present_size(home: Home, view: ClusterView) -> int:
    """Returns the number of voters, with those that unfinished joins of this directory add; for a cluster that was just created
    it is three.

    Who is a member is etcd's to say. A member that `etcd remove` took off the list is still in the saved state, and
    counting it made every `up` add one voter; so did a learner of somebody else, which is no join of ours.
    """
    return len(view.voters) + len(without_vote(home, view)) if home.was_there else _DEFAULT_MEMBERS


def join(home: Home, name: str | None, etcd: str | None = None) -> GrowResult:
    """Adds one member. When `name` is None, an unfinished join goes first; else a free name is chosen."""
    with home.locked("local join"):
        replacement.overtaken(home)
        return _join(home, name, etcd, _advise)


Advise: TypeAlias = Callable[[Home, int], None]
"""Says what is to be said of a number of voters."""


def _of_no_size(_home: Home, _voters: int) -> None:
    """Says nothing: in the middle of a replacement the number of voters is not what it will be."""


def _join(home: Home, name: str | None, etcd: str | None, advise: Advise) -> GrowResult:
    saved = home.load()
    if name is not None:
        check_new(saved, name)
    check_room(home, len(voters_before(home)))
    _finish_leaving(home, saved)
    started = start_members(home)
    view = wait_for_quorum(home)
    report_removed(home, view)
    names = [name] if name is not None else _names_to_join(home, view, len(view.voters) + 1)
    with having_started(started):
        check_room(home, len(view.voters))
    advise(home, len(view.voters) + 1)
    return _grown(home, names, etcd, started, view)


def replace_member(
    home: Home, old: str, new: str, etcd: str | None = None, *, accept_reduced_tolerance: bool = False
) -> GrowResult:
    """Replaces `old` by `new`: a live `old` leaves when `new` serves; a dead one is removed first, because it counts against
    the quorum. A second run resumes: an `old` that it removed is skipped. Raises `ConfigError` for any other that is none."""
    members = {member.name: member for member in home.load().members}
    if not replacement.has_joined(home, new):
        # Before a dead member is removed for one that cannot join.
        check_new(home.load(), new)
    replacement.refuse_nobody(home, old, new)
    order = replacement.order_of(home, old)
    if order != "join first":
        if order == "remove first":
            with suppress(EtcdError):
                # Without an answer the removal says what is wrong.
                refuse_unfit(home)
            with home.locked("etcd replace"):
                replacement.began_with_removal(home, old, new)
            _leave(home, old, accept_reduced_tolerance=accept_reduced_tolerance)
        try:
            with home.locked("etcd replace"):
                grown = _join_once(home, new, etcd)
                replacement.ended(home)
                return grown
        except QuorateError as error:
            raise _having_left(error, members.get(old)) from error
    with home.locked("etcd replace"):
        margin = replacement.began(home, old, new, accept_reduced_tolerance=accept_reduced_tolerance)
        grown = _join_once(home, new, etcd)
    serving = row_of(home, grown.view, home.load().member(new))
    succession = Succession(serving.id if serving else 0, margin)
    try:
        left = _leave(home, old, accept_reduced_tolerance=accept_reduced_tolerance, succession=succession).view
    except QuorateError as error:
        raise having_joined(error, grown.joined) from error
    return replace(grown, view=left) if left is not None else grown


def _having_left(error: QuorateError, old: LocalMember | None) -> QuorateError:
    """Returns the error of the join of a replacement, whose old member this run has removed."""
    return having_done(error, f"{old.name} was removed before") if old is not None else error


def _join_once(home: Home, name: str, etcd: str | None) -> GrowResult:
    """Joins as `join` does; skips a member of that name which an earlier run joined."""
    if replacement.has_joined(home, name):
        return GrowResult((), (), wait_for_quorum(home))
    return _join(home, name, etcd, _of_no_size)


def _grown(home: Home, names: Sequence[str], etcd: str | None, started: tuple[str, ...], view: ClusterView) -> GrowResult:
    if names:
        with having_started(started):
            refuse_unfit(home)
    joined = tuple(grow_by(home, names, etcd))
    return GrowResult(joined, started, wait_for_quorum(home) if joined else view)


def leave(home: Home, name: str, *, accept_reduced_tolerance: bool = False) -> LeaveResult:
    """Removes the member, sees that it is gone, then deletes its data. That no member answers afterwards is no failure: the
    removal was seen before.

    Raises `UnsafeStep` with nothing changed when the removal would reduce the failure tolerance.
    """
    left = _leave(home, name, accept_reduced_tolerance=accept_reduced_tolerance)
    if left.view is not None:
        _advise(home, len(left.view.voters))
    return left


def _leave(home: Home, name: str, *, accept_reduced_tolerance: bool, succession: Succession | None = None) -> LeaveResult:
    with home.locked("local leave"):
        member = home.load().member(name)
        if home.layout.member(name).folder.is_symlink():
            raise Refused(
                f"{home.layout.member(name).folder} is a symlink", state="nothing was changed", advice="remove the symlink"
            )
        begun = member.phase == "leaving"
        # On disk before the removal: a run cut off after it must know not to start this member again.
        home.save(home.load().with_member(replace(member, phase="leaving")))
        try:
            policy = RemovePolicy(accept_reduced_tolerance=accept_reduced_tolerance, succession=succession)
            took_vote = removal.remove(home, member, policy)
        except QuorateError as error:
            unchanged = any(one["outcome"] == Unchanged.kind for one in error.outcomes)
            unasked = not begun and not error.outcomes
            if unchanged or unasked or isinstance(error, Refused):
                home.save(home.load().with_member(member))
                if unasked:
                    error.state = error.state or "nothing was changed"
                    error.advice = error.own_advice or lost.starting_advice(home)
            elif not error.outcomes:
                error.state = error.state or _settle_leaving(home, member)
            raise
        _forget(home, name)
        return LeaveResult(_look_after(home), took_vote)


def _look_after(home: Home) -> ClusterView | None:
    wait_for_leader(home)
    try:
        return home.look()
    except EtcdError:
        return None


def _settle_leaving(home: Home, member: LocalMember) -> str:
    """Looks whether the removal happened although it was cut off; returns the state for the error."""
    with home.clock.cancel.shielded():
        absent = _is_absent(home, member)
        if absent is None:
            return f"it is unknown whether {member.name} was removed; run the same command again"
        if absent:
            return f"{member.name} is no longer a member; run the same command again to delete its data"
        home.save(home.load().with_member(member))
        return f"{member.name} is still a member; nothing was changed"


def down(home: Home, *, purge: bool = False) -> list[str]:
    """Stops every member, and with `purge` deletes the cluster's files, also those of a run that was killed before it had a
    cluster; returns the names of the members that ran."""
    with home.locked("local down"):
        if purge and not home.layout.state.exists():
            _purge(home)
            return []
        running = home.running()
        for name in running:
            home.report(Event("stop", name, "stopping its etcd"))
            home.runtime(name).stop()
        if purge:
            _purge(home)
        return running


def kill(home: Home, name: str) -> None:
    """Kills a member's process; returns when the process is gone, so that the next command does not see it running."""
    process.kill(_running(home, name), home.clock)


def pause(home: Home, name: str) -> None:
    """Pauses a member's process: it keeps its connections but answers nothing."""
    process.pause(_running(home, name), home.clock)


def resume(home: Home, name: str) -> None:
    """Resumes a paused member."""
    process.send(_running(home, name), signal.SIGCONT)


def _running(home: Home, name: str) -> Identity:
    """Returns the member's process; raises `Refused` when it is not running."""
    home.load().member(name)
    identity = home.daemon(name).identity()
    if identity is None:
        _refuse_known_removed(home, name)
        raise Refused(
            f"{name} is not running",
            state="nothing was changed",
            advice=f"quorate local start {name} {home.layout.option}",
        )
    return identity


def _refuse_known_removed(home: Home, name: str) -> None:
    """Raises `Refused` for a member that ended because it was removed, or that the list lacks."""
    if home.daemon(name).ended_by_removal():
        raise removed(home, name)
    refuse_removed(home, name)


def stop(home: Home, name: str) -> None:
    """Stops a member's process gracefully; the member stays in the member list."""
    with home.locked("local stop"):
        if home.daemon(home.load().member(name).name).identity() is None:
            _refuse_known_removed(home, name)
        home.runtime(name).stop()


def start(home: Home, name: str) -> bool:
    """Starts a stopped member on its data; it stays the same member. Returns whether it answers clients by now."""
    with home.locked("local start"):
        home.load().member(name)
        if runs_already(home, name):
            home.report(Notice(f"{name} runs already"))
        else:
            refuse_removed(home, name)
            start_one(home, name)
        return wait_until_up(home, name)


def check_new(saved: State, name: str) -> None:
    """Raises `ConfigError` for a name that no new member may have, or that a member has."""
    check_name(name)
    taken = next((member for member in saved.members if member.name == name and member.phase != "joining"), None)
    if taken is not None:
        raise ConfigError(f"{name} is a member already", state="nothing was changed", advice="choose another name")


def _names_to_join(home: Home, view: ClusterView, wanted: int) -> list[str]:
    """Returns the joins that an earlier run began, also those with a vote that was not verified; then new names."""
    saved = home.load()
    begun = [member.name for member in saved.members if member.phase == "joining"]
    missing = wanted - len(view.voters) - len(without_vote(home, view))
    return [*begun, *saved.free_names()[: max(missing, 0)]]


def _finish_leaving(home: Home, saved: State) -> None:
    """Finishes a `leave` that was cut off: deletes the data of a member that is seen gone, and keeps one that is listed."""
    for member in saved.members:
        absent = _is_absent(home, member) if member.phase == "leaving" else None
        if absent:
            _forget(home, member.name)
        elif absent is False:
            home.save(home.load().with_member(replace(member, phase="member")))
            again = f"quorate local leave {member.name} {home.layout.option}"
            home.report(
                Notice(f"the removal of {member.name} was interrupted; it is still a member. To remove it: {again}", "warning")
            )


def _is_absent(home: Home, member: LocalMember) -> bool | None:
    """Returns whether the member is off the list; None when no list was read through the quorum."""
    try:
        view = home.look()
    except EtcdError:
        return None
    return row_of(home, view, member) is None if view.linearizable else None


def _forget(home: Home, name: str) -> None:
    runtime = home.runtime(name)
    runtime.stop()
    # Of the member that has left: a snapshot that was restored there since is another's.
    runtime.wipe(home.load().member(name).memory.member_id or None)
    replacement.left(home, name)
    home.save(home.load().without(name))


def _purge(home: Home) -> None:
    """Deletes what this tool made, nothing else; the directory itself only when it is empty then."""
    layout = home.layout
    remove_tree(layout.members)
    remove_tree(layout.root / "pki")
    for leftover in (entry for entry in layout.root.iterdir() if layout.is_leftover(entry.name)):
        remove_file(leftover)
    for path in layout.files:
        remove_file(path)
    if layout.root.is_symlink():
        home.report(Notice(f"{layout.root} is a symlink: it was kept, with the directory that it leads to"))
        return
    try:
        layout.root.rmdir()
    except OSError as error:
        why = "contains other files" if error.errno == errno.ENOTEMPTY else f"cannot be deleted ({error.strerror})"
        home.report(Notice(f"{layout.root} {why} and was kept"))


def _advise(home: Home, voters: int) -> None:
    advice = size_advice(voters)
    if advice:
        home.report(Notice(advice))
