"""The start of existing members: the first of a new cluster, and every one that stopped."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from quorate.core import versions
from quorate.core.membership import ClusterView, Member, silent_voters
from quorate.deadline import Deadline, poll
from quorate.errors import HostError, QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError
from quorate.host import ports
from quorate.host.member_data import settle
from quorate.local import certificates, state
from quorate.local.home import Home
from quorate.local.layout import check_root
from quorate.local.lost import without_data
from quorate.local.removed import removed, removed_now
from quorate.local.rows import with_ids
from quorate.local.runtime import is_paused
from quorate.local.state import LocalMember, State
from quorate.report import Event

MAX_LEARNERS = 6
"""Learners that may catch up in parallel: enough for 1 to 7 voters. Every member is started with the same number."""

_HEALTHY_SECONDS = 30.0
_START_SECONDS = 3.0
_POLL_SECONDS = 0.02


def load_or_create(home: Home, etcd: str | None) -> State:
    """Returns the saved state, or that of a new cluster of one member which is not running yet."""
    saved = state.load(home.layout.state)
    if saved is not None and saved.members:
        return saved
    program = home.program(etcd)
    seats = MAX_LEARNERS if versions.has_max_learners(program.version) else 1
    peer_port, client_port = ports.reserve(2, home.layout.lock)
    first = LocalMember("m1", peer_port, client_port, str(program.path), "first")
    saved = State(f"quorate-{secrets.token_hex(8)}", seats, members=(first,))
    home.save(saved)
    return saved


def start_members(home: Home) -> tuple[str, ...]:
    """Starts every member that should run and does not, all before it waits for any: one alone may have no quorum. One that is
    known to be removed from the cluster is not started: it could only end.

    Returns the names of the started members. Raises `Refused` for a paused one, `HostError` for one that cannot start.
    """
    certificates.ensure_cluster_certificates(home.layout)
    down = down_members(home)
    for name in down:
        settle(home.layout.member(name).data)
    empty = [name for name in down if _is_empty(home, name)]
    started = [name for name in down if name not in empty]
    failed: HostError | None = None
    for name in started:
        try:
            start_one(home, name)
        except HostError as error:
            # The others are started all the same: without them there may be no quorum to fix this one with.
            failed = failed or error
    if failed is not None:
        raise failed
    if empty and home.running():
        # The others may give a quorum by now, through which the list shows who was removed.
        wait_for_leader(home)
        empty = [name for name in empty if name not in removed_now(home)]
    if empty:
        raise without_data(home, empty)
    return tuple(started)


def down_members(home: Home, *, leaves: str = "") -> list[str]:
    """Returns the members that should run and do not, but for those that were removed from the cluster, and one that `leaves`
    before. Raises `Refused` for a paused one."""
    names = [member.name for member in home.load().members if member.name != leaves and _should_run(home, member)]
    _refuse_paused(home, names)
    down = [name for name in names if home.daemon(name).identity() is None]
    gone = removed_now(home) if down else set[str]()
    return [name for name in down if name not in gone]


def check_start(home: Home, *, leaves: str = "") -> list[str]:
    """Raises what `start_members` would raise before it starts any, changing nothing; returns the names of those that it would
    start."""
    down = down_members(home, leaves=leaves)
    empty = [name for name in down if _is_empty(home, name)]
    if empty:
        raise without_data(home, empty)
    return down


def _is_empty(home: Home, name: str) -> bool:
    """Returns whether the data of a member is gone. The first member of a cluster that never started begins without any."""
    return home.load().member(name).phase != "first" and not home.layout.member(name).has_data


def _should_run(home: Home, member: LocalMember) -> bool:
    """Returns whether the member should run: members do, and so does a joiner with data. The joiner may have got its vote since
    its join was cut off, and the quorum may need it. A started learner does no harm, and a removed one exits by itself."""
    return member.phase != "joining" or home.layout.member(member.name).has_data


def start_one(home: Home, name: str) -> None:
    """Starts a member on its data; does nothing when it runs. Raises `HostError` when its data is gone, `ConfigError` for a
    directory that etcd cannot use."""
    member = home.load().member(name)
    check_root(home.layout.root)
    settle(home.layout.member(name).data)
    if _is_empty(home, name):
        if member.phase == "joining":
            raise HostError(
                f"{name} has no data in {home.layout.member(name).data}",
                state="it was not started: its join is unfinished",
                advice=f"quorate local up {home.layout.option}    # starts its join again",
            )
        raise without_data(home, [name])
    certificates.ensure_member_certificates(home.layout, name)
    home.report(Event("start", name, "starting its etcd"))
    home.runtime(name).start([(name, member.peer_url)])


def wait_until_up(home: Home, name: str) -> bool:
    """Returns whether the member just started answers clients within 3 s; without a quorum it runs but does not answer.

    Raises `HostError` when its process ended, `Refused` when it ended because the member was removed from the cluster.
    """
    deadline = Deadline(home.clock, _START_SECONDS, f"{name} answers")
    with home.access() as access:
        channel = access.channel(home.load().member(name).client)

        def answers() -> bool | None:
            if home.runtime(name).process().state == "exited":
                raise _ended(home, name)
            try:
                maintenance.status(channel, timeout=0.5)
            except EtcdError:
                return None
            return True

        return poll(answers, home.clock, deadline, every=_POLL_SECONDS) is not None


def _refuse_paused(home: Home, names: Sequence[str]) -> None:
    paused = [name for name in names if is_paused(home.daemon(name))]
    if paused:
        raise Refused(
            f"{' and '.join(paused)} {'is' if len(paused) == 1 else 'are'} paused",
            state="a paused member keeps its vote but answers nothing",
            advice=" && ".join(f"quorate local resume {name} {home.layout.option}" for name in paused),
        )


def runs_already(home: Home, name: str) -> bool:
    """Returns whether the member runs already. Raises `Refused` for one that is paused: its process runs, and does nothing."""
    _refuse_paused(home, [name])
    return home.daemon(name).identity() is not None


def wait_for_quorum(home: Home) -> ClusterView:
    """Waits until every voter answers and one leads; returns that view.

    Raises `HostError` when a member's process ended, `Refused` when another cluster answers, `DeadlineExceeded`.
    """
    deadline = Deadline(home.clock, _HEALTHY_SECONDS, "the cluster has a leader and every member answers")
    with home.access() as access:
        reasons = [""]

        def healthy() -> ClusterView | None:
            seen, why = _healthy_view(home, access)
            if seen is None:
                reasons.append(why)
                _refuse_ended(home)
            return seen

        view = poll(healthy, home.clock, deadline, every=_POLL_SECONDS)
    # Where the first look was good there was no wait that a stop is noticed at.
    home.clock.cancel.check()
    if view is None:
        where = home.layout.option
        look = f"quorate local status {where}    # and: quorate local logs {where}"
        raise deadline.error(because=reasons[-1], advice=look)
    _check_cluster_id(home, view)
    return view


def wait_for_leader(home: Home) -> None:
    """Gives members that were just started 3 s to elect a leader; returns also when they do not."""
    deadline = Deadline(home.clock, _START_SECONDS, "the members elect a leader")
    with home.access() as access:

        def leader() -> Member | None:
            try:
                return home.observe(access).leader
            except EtcdError as error:
                if error.disposition == "final":
                    raise
                return None

        poll(leader, home.clock, deadline, every=_POLL_SECONDS)


def _healthy_view(home: Home, access: Access) -> tuple[ClusterView | None, str]:
    """Returns the view when it is healthy, else None and the reason."""
    try:
        view = home.observe(access)
    except EtcdError as error:
        return None, error.what
    if silent_voters(view):
        return None, f"no answer from {', '.join(silent_voters(view))}"
    return (view, "") if view.leader else (None, "no member reports that it leads")


def _refuse_ended(home: Home) -> None:
    """Raises `HostError` for a member whose process ended: it will not answer, however long we wait. One that was removed is
    none that we wait for."""
    expected = [member.name for member in home.load().members if member.phase in ("first", "member")]
    ended = [name for name in expected if home.daemon(name).state() == "exited"]
    failed = [name for name in ended if name not in removed_now(home)]
    if failed:
        raise _ended(home, failed[0])


def _ended(home: Home, name: str) -> QuorateError:
    if home.daemon(name).ended_by_removal():
        return removed(home, name)
    return HostError(
        f"the etcd of {name} ended: {home.daemon(name).last_words()}",
        state=f"running: {', '.join(home.running()) or 'none'}",
        advice=f"quorate local logs {name} {home.layout.option}",
    )


def _with_vote(row: LocalMember, view: ClusterView) -> LocalMember:
    """Returns a standby as a member once it has a vote: an autopilot gives it one, without this directory."""
    has_vote = row.phase == "standby" and view.by_peer_urls((row.peer_url,)) in view.voters
    return replace(row, phase="member") if has_vote else row


def _check_cluster_id(home: Home, view: ClusterView) -> None:
    """Saves the cluster id at the first start, and the ids of members as soon as they are known; refuses any other cluster id
    later."""
    saved = home.load()
    if saved.cluster_id in (0, view.cluster_id):
        begun = saved.cluster_id == 0
        members = tuple(replace(row, phase="member") if begun and row.phase == "first" else row for row in saved.members)
        members = tuple(_with_vote(row, view) for row in members)
        known = with_ids(home.layout, replace(saved, cluster_id=view.cluster_id, members=members))
        if known != saved:
            home.save(known)
    else:
        raise Refused(
            f"the members answer for cluster {view.cluster_id:x}, but this directory is of {saved.cluster_id:x}",
            state="nothing was changed",
            advice="another cluster listens on these ports: stop it, or use another --dir",
        )
