"""The verbs of a local cluster: up, join, leave, down, and the faults kill, stop, start, pause and resume."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quorate.core.decide_remove import RemoveGoal
from quorate.core.invariants import Succession
from quorate.core.membership import ClusterView, Member, size_advice
from quorate.core.outcome import Unchanged
from quorate.errors import ConfigError, QuorateError, Refused
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership.join_state import JoinResult
from quorate.etcd.membership.removal_judge import RemovePolicy
from quorate.etcd.membership.remove import Removal
from quorate.files import remove_file, remove_tree
from quorate.host import process
from quorate.host.etcd_identity import data_identity
from quorate.host.process import Identity
from quorate.local import growth, replacement
from quorate.local.grow import grow_by
from quorate.local.home import Home
from quorate.local.layout import check_name
from quorate.local.start import load_or_create, start_members, start_one, wait_for_leader, wait_for_quorum, wait_until_up
from quorate.local.state import LocalMember, State
from quorate.report import Event, Notice

_DEFAULT_MEMBERS = 3
_MOST_MEMBERS = 7


@dataclass(frozen=True, slots=True)
class GrowResult:
    """What `up` and `join` did: the joins made now, the members started again, and the cluster as it is."""

    joined: tuple[JoinResult, ...]
    restarted: tuple[str, ...]
    view: ClusterView


def up(home: Home, wanted: int | None = None, etcd: str | None = None) -> GrowResult:
    """Make the cluster have `wanted` voters, all running; changes nothing when it has. None keeps the size it has, and
    means three for a new one.

    Raises `Refused` when it has more (members are removed only by name), `ConfigError` for an impossible number, and
    whatever the join raises; see `quorate.etcd.membership.join`.
    """
    if wanted is not None:
        _check_size(wanted)
    home.create(etcd)
    with home.locked("local up"):
        asked_for = growth.asked_for(home.layout)
        growth.begin(home.layout, wanted or asked_for or (0 if home.was_there else _DEFAULT_MEMBERS))
        _finish_leaving(home, load_or_create(home, etcd))
        started = start_members(home)
        view = wait_for_quorum(home)
        size = wanted if wanted is not None else asked_for or _present_size(home)
        _refuse_shrinking(home, home.load(), size)
        _advise(home, size)
        grown = _grown(home, _names_to_join(home.load(), view, size), etcd, started, view)
        growth.reached(home.layout)
        return grown


def _present_size(home: Home) -> int:
    """Members and begun joins; a cluster that is only just begun is meant to have three."""
    size = sum(member.phase != "leaving" for member in home.load().members)
    return size if home.was_there else _DEFAULT_MEMBERS


def join(home: Home, name: str | None, etcd: str | None = None) -> GrowResult:
    """Add one more member; `name` is chosen when None, an unfinished join first."""
    with home.locked("local join"):
        saved = home.load()
        _refuse_taken(saved, name)
        _finish_leaving(home, saved)
        started = start_members(home)
        view = wait_for_quorum(home)
        names = [check_name(name)] if name is not None else _names_to_join(home.load(), view, len(view.voters) + 1)
        _check_size(len(view.voters) + 1)
        _advise(home, len(view.voters) + 1)
        return _grown(home, names, etcd, started, view)


def replace_member(home: Home, old: str, new: str | None, etcd: str | None = None) -> GrowResult:
    """Put `new` in the place of `old`: a live one leaves when the new one serves; a dead one is removed first, for it
    counts against the quorum. Running it again continues: an `old` that is gone already is not looked for."""
    present = any(member.name == old for member in home.load().members)
    alive = present and home.daemon(old).identity() is not None
    if not present and new is None:
        home.load().member(old)
    if present and not alive:
        leave(home, old)
    margin = replacement.began(home, old, new) if alive else 0
    grown = _join_once(home, new, etcd)
    if not alive:
        return grown
    taking_over = new or grown.joined[0].name
    serving = next((row.id for row in grown.view.voters if row.name == taking_over), 0)
    left = leave(home, old, succession=Succession(serving, margin))
    replacement.ended(home)
    return replace(grown, view=left) if left is not None else grown


def _join_once(home: Home, name: str | None, etcd: str | None) -> GrowResult:
    """As `join`; a member of that name which an earlier run joined is left as it is."""
    if any(member.name == name and member.phase == "member" for member in home.load().members):
        return GrowResult((), (), wait_for_quorum(home))
    return join(home, name, etcd)


def _grown(home: Home, names: Sequence[str], etcd: str | None, started: tuple[str, ...], view: ClusterView) -> GrowResult:
    joined = tuple(grow_by(home, names, etcd))
    return GrowResult(joined, started, wait_for_quorum(home) if joined else view)


def leave(
    home: Home, name: str, *, accept_reduced_tolerance: bool = False, succession: Succession | None = None
) -> ClusterView | None:
    """Remove the member, see that it is gone, then delete its data; returns the cluster as it is then, None when nobody answers
    any more: that the member is gone was seen before, and another one that is down does not make it a failure.

    Raises `UnsafeStep` with nothing changed when the others would be worse off.
    """
    with home.locked("local leave"):
        member = home.load().member(name)
        if home.layout.member(name).folder.is_symlink():
            raise Refused(
                f"{home.layout.member(name).folder} is a symlink", state="nothing was changed", advice="remove the link"
            )
        begun = member.phase == "leaving"
        # On disk before the removal: a run cut off behind it must know that this member is not to be started again.
        home.save(home.load().with_member(replace(member, phase="leaving")))
        try:
            _remove(home, member, RemovePolicy(accept_reduced_tolerance=accept_reduced_tolerance, succession=succession))
        except QuorateError as error:
            unchanged = any(one["outcome"] == Unchanged.kind for one in error.outcomes)
            unasked = not begun and not error.outcomes
            if unchanged or unasked or isinstance(error, Refused):
                home.save(home.load().with_member(member))
                if unasked:
                    error.state = error.state or "nothing was changed"
                    error.advice = error.advice or f"quorate local up {home.layout.option} starts what is down"
            elif not error.outcomes:
                error.state = error.state or _settle_leaving(home, member)
            raise
        _forget(home, name)
        view = _look_after(home)
        if view is not None:
            _advise(home, len(view.voters))
        return view


def _look_after(home: Home) -> ClusterView | None:
    wait_for_leader(home)
    try:
        return home.look()
    except EtcdError:
        return None


def _settle_leaving(home: Home, member: LocalMember) -> str:
    """Look whether the removal happened although it was cut off; returns what is the case, for the error."""
    with home.clock.cancel.shielded():
        absent = _is_absent(home, member)
        if absent is None:
            return f"whether {member.name} was removed is not known; run the same command again"
        if absent:
            return f"{member.name} is no member any more, its data is still there; run the same command again to delete it"
        home.save(home.load().with_member(member))
        return f"{member.name} is still a member, nothing was changed"


def _remove(home: Home, member: LocalMember, policy: RemovePolicy) -> None:
    wait_for_leader(home)
    with home.access() as access, home.journal() as note:
        view = home.observe(access)
        listed = _listed(home, view, member)
        if listed is None and view.linearizable:
            return
        if listed is None:
            raise Refused(
                f"whether {member.name} is a member cannot be read: there is no quorum",
                state="nothing was changed",
                advice=f"quorate local up {home.layout.option} starts what is down",
            )
        ended = home.daemon(member.name).identity() is None
        policy = replace(policy, ended=ended)
        Removal(access, home.clock, home.seeds(), RemoveGoal(listed.id, member.name), home.report, note, policy).run()


def _listed(home: Home, view: ClusterView, member: LocalMember) -> Member | None:
    """The row of the member whose data lies here, by the ids in that data: an operator who corrects a peer URL has not
    made another member of it, and a row that is not found is what data gets deleted by. Without data, by what an interrupted
    join knows, else by URL or name.

    Raises `Refused` when the data is of another cluster, or cannot be read.
    """
    paths = home.layout.member(member.name)
    owner = data_identity(paths.data) if paths.has_data else None
    if paths.has_data and (owner is None or owner.cluster_id != view.cluster_id):
        whose = f"of cluster {owner.cluster_id:x}, not of {view.cluster_id:x}" if owner else "of nobody that can be read"
        raise Refused(
            f"the data of {member.name} is {whose}",
            state="nothing was changed",
            advice=f"look at {paths.data}; remove the member with 'quorate etcd remove' if it is to go",
        )
    known = owner.member_id if owner else member.memory.member_id
    if known:
        return view.by_id(known)
    return view.by_peer_urls((member.peer_url,)) or view.by_name(member.name)


def down(home: Home, *, purge: bool = False) -> list[str]:
    """Stop every member, and with `purge` delete the cluster's files; returns the names of those that ran."""
    with home.locked("local down"):
        running = [member.name for member in home.load().members if home.daemon(member.name).identity()]
        for name in running:
            home.report(Event("stop", name, "stopping its etcd"))
            home.runtime(name).stop()
        if purge:
            _purge(home)
        return running


def kill(home: Home, name: str) -> None:
    """Crash a member's process; returns when it is gone, so that the next command does not take it for running."""
    process.kill(_running(home, name), home.clock)


def pause(home: Home, name: str) -> None:
    """Hang it: it keeps its connections and answers nothing."""
    process.pause(_running(home, name), home.clock)


def resume(home: Home, name: str) -> None:
    """Let a paused member go on."""
    process.send(_running(home, name), signal.SIGCONT)


def _running(home: Home, name: str) -> Identity:
    """The member's process; raises `Refused` when it does not run."""
    home.load().member(name)
    identity = home.daemon(name).identity()
    if identity is None:
        raise Refused(
            f"{name} does not run",
            state="nothing was changed",
            advice=f"quorate local start {name} {home.layout.option}",
        )
    return identity


def stop(home: Home, name: str) -> None:
    """End its process gracefully; it stays a member."""
    with home.locked("local stop"):
        home.runtime(name).stop()


def start(home: Home, name: str) -> bool:
    """Start a stopped member on its data; it stays the member it is. Returns whether it answers clients by now."""
    with home.locked("local start"):
        start_one(home, name)
        return wait_until_up(home, name)


def _check_size(wanted: int) -> None:
    if wanted < 1:
        raise ConfigError(f"{wanted} members: a cluster has at least one")
    if wanted > _MOST_MEMBERS:
        raise ConfigError(f"{wanted} members: {size_advice(wanted)}")


def _refuse_taken(saved: State, name: str | None) -> None:
    taken = next((member for member in saved.members if member.name == name and member.phase != "joining"), None)
    if taken is not None:
        raise ConfigError(f"{name} is a member already", state="nothing was changed", advice="choose another name")


def _refuse_shrinking(home: Home, saved: State, wanted: int) -> None:
    have = [member.name for member in saved.members if member.phase in ("first", "member")]
    if len(have) > wanted:
        raise Refused(
            f"the cluster has {len(have)} members ({', '.join(have)}), more than the {wanted} asked for",
            state="nothing was changed: members are removed by name only, one at a time",
            advice=f"quorate local up --members {len(have)}, or quorate local leave {have[-1]} {home.layout.option}",
        )


def _names_to_join(saved: State, view: ClusterView, wanted: int) -> list[str]:
    """Joins that an earlier run began, even those that have their vote already and were not verified; then new names."""
    begun = [member for member in saved.members if member.phase == "joining"]
    promoted = [member for member in begun if view.by_peer_urls((member.peer_url,)) in view.voters]
    missing = wanted - len(view.voters) - (len(begun) - len(promoted))
    return [*(member.name for member in begun), *saved.free_names()[: max(missing, 0)]]


def _finish_leaving(home: Home, saved: State) -> None:
    """An earlier `leave` was cut off: the data of a member that is seen to be gone goes now, one still listed stays one."""
    for member in saved.members:
        absent = _is_absent(home, member) if member.phase == "leaving" else None
        if absent:
            _forget(home, member.name)
        elif absent is False:
            home.save(home.load().with_member(replace(member, phase="member")))
            again = f"quorate local leave {member.name} {home.layout.option}"
            home.report(
                Notice(f"{member.name} was about to leave and is a member still; to go on with that: {again}", "warning")
            )


def _is_absent(home: Home, member: LocalMember) -> bool | None:
    """Whether the member is off the list; None when nobody can say with a quorum behind it."""
    try:
        view = home.look()
    except EtcdError:
        return None
    return _listed(home, view, member) is None if view.linearizable else None


def _forget(home: Home, name: str) -> None:
    runtime = home.runtime(name)
    runtime.stop()
    runtime.wipe()
    home.save(home.load().without(name))


def _purge(home: Home) -> None:
    """Delete what this tool made, nothing else; the directory itself only when that leaves it empty."""
    layout = home.layout
    remove_tree(layout.members)
    remove_tree(layout.root / "pki")
    for path in (layout.journal, layout.state, layout.lock, layout.replacement, layout.wanted):
        remove_file(path)
    try:
        layout.root.rmdir()
    except OSError:
        home.report(Notice(f"{layout.root} holds other files and was kept"))


def _advise(home: Home, voters: int) -> None:
    advice = size_advice(voters)
    if advice:
        home.report(Notice(advice))
