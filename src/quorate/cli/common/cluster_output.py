"""Output of members and their health: tables for people, JSON for programs. Ids are hex strings everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from quorate.cli.common.output import echo, emit, print_table, size, styled
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, MemberStatus, NoResponse, in_order, lag_of, lowest_margin_of, margin_of
from quorate.core.quorum import quorum
from quorate.errors import QuorateError
from quorate.foreign.values import rows_of, text_of

if TYPE_CHECKING:
    from quorate.etcd.observation.detail import Detail
    from quorate.etcd.observation.write_probe import WriteGap


STALE = "this member list is one member's own copy and may be stale"


def cluster_json(view: ClusterView, detail: Detail | None = None) -> dict[str, object]:
    """Returns the cluster as JSON. With `detail`, each member that answers also has the fields from there."""
    shown = view.as_dict()
    if detail is None:
        return shown
    closer = {format_id(member.id): detail.of(member.id) for member in view.members if view.answer(member.id) is not None}
    return {**shown, "members": [{**row, **closer.get(text_of(row.get("id")), {})} for row in rows_of(shown["members"])]}


def named_json(member: Member) -> dict[str, object]:
    """Returns the id and the name of a member, as results contain them."""
    return {"id": format_id(member.id), "name": member.name}


def role(member: Member, view: ClusterView) -> str:
    """Returns learner, standby, leader or voter. One that only claims to lead is a voter: a leader without a quorum reports
    that it leads for up to two election timeouts."""
    if member.is_learner:
        return "standby" if view.is_standby(member) else "learner"
    leads = view.leader is not None and view.leader.id == member.id and view.reachable_voters > 0
    return "leader" if leads else "voter"


def print_members(view: ClusterView) -> None:
    """Prints the member list as a table."""
    rows = [
        (format_id(row.id), row.name or "(unstarted)", role(row, view), ",".join(row.peer_urls), ",".join(row.client_urls))
        for row in in_order(view)
    ]
    print_table(("ID", "NAME", "ROLE", "PEER URLS", "CLIENT URLS"), rows)
    print_staleness(view)


def print_status(view: ClusterView, detail: Detail | None = None) -> None:
    """Prints one line per member, and the margin; hashes in `detail` add a column."""
    hashed = ("HASH",) if detail and detail.hashes else ()
    print_table((*STATUS_HEADERS, *hashed), status_rows(view, detail))
    print_notes(view)


def print_notes(view: ClusterView) -> None:
    """Prints what belongs below the lines of the members: why one does not answer, which would make every line as long as that
    sentence, the margin, the alarms, and whether the list may be stale."""
    for member in in_order(view):
        reply = view.replies.get(member.id)
        if isinstance(reply, NoResponse):
            echo(f"{member.name or format_id(member.id)}: no answer: {reply.reason}")
    print_margin(view)
    print_alarms(view)
    print_staleness(view)


def print_alarms(view: ClusterView) -> None:
    """Prints one line per alarm."""
    for alarm in view.alarms:
        member = view.by_id(alarm.member_id)
        echo(styled(f"alarm {alarm.kind} on {member.name if member else format_id(alarm.member_id)}", fg="red"))


STATUS_HEADERS = ("ID", "NAME", "ROLE", "HEALTH", "VERSION", "DB", "LAG")


def status_rows(view: ClusterView, detail: Detail | None = None) -> list[Sequence[str]]:
    """Returns the rows of a table with `STATUS_HEADERS`. With hashes in `detail`, each row has one more cell."""
    rows = [(member, _status_row(member, view, detail)) for member in in_order(view)]
    if detail is None or not detail.hashes:
        return [row for _, row in rows]
    found = {key: f"{one.value:08x}" for key, one in detail.hashes.items() if one is not None}
    return [(*row, found.get(member.id, "-")) for member, row in rows]


def _status_row(member: Member, view: ClusterView, detail: Detail | None) -> Sequence[str]:
    reply = view.replies.get(member.id)
    health = "no answer" if isinstance(reply, NoResponse) else health_words(member, view)
    head = (format_id(member.id), member.name or "(unstarted)", role(member, view), health)
    if not isinstance(reply, MemberStatus):
        return (*head, "", "", "")
    database = f"{size(reply.db_size)} of {size(reply.db_quota)}" if reply.db_quota else size(reply.db_size)
    return (*head, reply.version, database, _lag(lag_of(view, member), member, detail))


_ALARM = "alarm:"


def _reported(reply: MemberStatus, view: ClusterView) -> list[str]:
    """Returns what a member reports of itself. An alarm, which etcd writes with a decimal id, is that of one member, and all
    report it: its own line says whose it is."""
    if not any(_ALARM in error for error in reply.errors):
        return list(reply.errors)
    own = [alarm.kind for alarm in view.alarms if alarm.member_id == reply.member_id]
    others = [error for error in reply.errors if _ALARM not in error]
    return [*others, *(f"has raised {kind}" for kind in own)] or ["an alarm is raised"]


def health_words(member: Member, view: ClusterView) -> str:
    """Returns `healthy`, the errors that the member reports, or the reason why it does not answer. A voter that answers and
    could not read through the quorum in the same look is not healthy."""
    reply = view.replies.get(member.id)
    if isinstance(reply, MemberStatus):
        reads = member.is_learner or view.read_by is None or member.id in view.read_by
        return "; ".join(_reported(reply, view)) or ("healthy" if reads else "answers, but cannot reach a quorum")
    return f"no answer: {reply.reason}" if isinstance(reply, NoResponse) else "not asked"


def _lag(entries: int, member: Member, detail: Detail | None) -> str:
    """Returns the lag in entries and, where known, in seconds: `3 (0.2 s)` or `3 (over 1 s)`."""
    if not entries or detail is None or member.id not in detail.lag_seconds:
        return str(entries)
    seconds = detail.lag_seconds[member.id]
    return f"{entries} ({'over 1 s' if seconds is None else f'{seconds:.1f} s'})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many voters answer (`counts`), how many more may fail (`text`), and what that rests on (`assumed`, or nothing).
    `tight`: none may; `bad`: there is no quorum."""

    counts: str
    text: str
    level: Literal["good", "tight", "bad"]
    assumed: str = ""


def verdict_of(view: ClusterView) -> Verdict:
    """Returns how many voters answer, the quorum, and how many more may fail."""
    voters, left = len(view.voters), margin_of(view)
    lowest = lowest_margin_of(view)
    answering, following = view.answering_voters, view.reachable_voters
    led = "" if answering == following else f" and {following} follow a leader"
    counts = f"{answering} of {voters} voter{'s' if voters != 1 else ''} answer{led}, quorum is {quorum(voters)}"
    if left < 0 and answering >= quorum(voters):
        return Verdict(counts, "no leader: an election takes one or two seconds; run the command again", "bad")
    if left < 0:
        return Verdict(counts, f"no quorum: {-left} more must answer before the cluster accepts writes", "bad")
    assumed = f" (links between followers are assumed to work; at least {max(lowest, 0)})" if 0 <= lowest < left else ""
    return Verdict(counts, f"{left} more may fail", "good" if left else "tight", assumed)


def print_margin(view: ClusterView) -> None:
    """Prints how many voters answer, the quorum, and how many more may fail."""
    found = verdict_of(view)
    echo(f"{found.counts}: ", styled(found.text, fg="red") if found.level == "bad" else f"{found.text}{found.assumed}")


def afterwards_json(later: ClusterView) -> dict[str, object]:
    """Returns the numbers of the cluster after a planned change."""
    from quorate.core.foresight import afterwards

    return {"afterwards": afterwards(later).as_dict()}


def print_afterwards(view: ClusterView, later: ClusterView) -> None:
    """Prints how many voters there will be after a planned change, and how many of them may fail."""
    from quorate.core.foresight import afterwards

    found, now = afterwards(later), margin_of(view)
    voters = f"{found.voters} voter{'' if found.voters == 1 else 's'}"
    left = "no quorum" if found.margin < 0 else f"{found.margin} may fail"
    echo(f"afterwards: {voters}, {left} (now {max(now, 0)})" if now >= 0 else f"afterwards: {voters}, {left}")


def gap_json(gap: WriteGap | None) -> dict[str, object]:
    """Returns the result of the write probe that ran during the change; an empty dict without a probe."""
    return {} if gap is None else {"writer": gap.as_dict()}


def print_gap(gap: WriteGap | None) -> None:
    """Prints the result of the write probe, if there was one."""
    if gap is not None:
        echo(f"{gap.writes} writes during the change; the longest time without a write was {gap.longest:.2f} s")


def print_staleness(view: ClusterView) -> None:
    """Warns on stderr about a member list that was not read through the quorum."""
    if not view.linearizable:
        echo(STALE, err=True)


def show_members(view: ClusterView, form: str) -> None:
    """Prints a member list in one of our own formats. Ends the command with exit code 1 when the list was not read through the
    quorum: a script that checks the exit code must not take one member's own copy for the list that is agreed on."""

    def text() -> None:
        if form == "table":
            print_members(view)
            return
        for row in in_order(view):
            echo(", ".join((f"{row.id:x}", row.name, role(row, view), ",".join(row.peer_urls), ",".join(row.client_urls))))

    rows = [view.member_fields(member) for member in in_order(view)]
    emit(form, "MemberList", {"linearizable": view.linearizable, "members": rows}, text)
    if not view.linearizable:
        if form != "table":
            print_staleness(view)
        raise click.exceptions.Exit(QuorateError.exit_code)
