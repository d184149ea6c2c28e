"""The picture of `quorate etcd watch` on a terminal, for any size of it. What matters most comes first: a terminal that is too
low cuts the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.text import Text

from quorate.cli.common.cluster_output import STALE, health_words, role, verdict_of
from quorate.cli.common.progress import drawn
from quorate.cli.etcd.watch_history import Frame, curve, most_in
from quorate.core.ids import format_id
from quorate.core.membership import NO_LEADER, UP_TO_DATE_ENTRIES, ClusterView, Member, in_order, lag_of

_ROLE, _STATE, _SECONDS, _CURVE = 7, 9, 7, 16
"""Columns: `learner`, `no answer`, `SECONDS`, and what a curve needs before the seconds are shown as well."""
_LEAST_NAME, _LEAST_CURVE = 12, 8
_COLOURS = {"good": "green", "tight": "yellow", "bad": "bold red"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn: the newest look, the last view of the cluster there was, every look's lags, and where we are connected.
    `plain`: in ASCII."""

    frame: Frame
    last: ClusterView | None
    looks: tuple[Mapping[int, int], ...]
    endpoints: str
    plain: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from picture(self, options.max_width, options.height or console.height)


def picture(shown: Shown, width: int, height: int) -> list[Text]:
    """Returns at most `height` lines of at most `width` columns."""
    rows = _Rows(shown, width)
    head, details = _head(shown, width), _details(shown, width)
    # Details, and a blank line, as long as they cost no member its row.
    choices = ([*head, *details, Text()], [*head, *details], head)
    lines = next((some for some in choices if len(some) + 1 + len(rows.members) <= height), head)
    table = rows.lines(max(height - len(lines), 0))
    return [_cut(line, width, plain=shown.plain) for line in [*lines, *table, *rows.reasons()][:height]]


def _head(shown: Shown, width: int) -> list[Text]:
    """The time, the cluster, how many may fail, and what else is wrong with all of it."""
    frame, view = shown.frame, shown.frame.view
    cluster = f"cluster {format_id(shown.last.cluster_id)}" if shown.last else "cluster"
    leads = f"  {view.leader.name} leads" if view and view.leader else ""
    lines = [drawn(f"{frame.at:%H:%M:%S}  {cluster}{leads}  at {shown.endpoints}", style="dim")]
    if view is None:
        problem = f"the cluster cannot be read: {frame.problem}" if frame.problem else "asking the members"
        return [*lines, *_wrapped(drawn(problem, style="bold red" if frame.problem else ""), width)]
    found = verdict_of(view)
    lines += _wrapped(drawn(found.text, style=_COLOURS[found.level]), width)
    names = {member.id: member.name or format_id(member.id) for member in view.members}
    lines += [
        drawn(f"alarm {one.kind} on {names.get(one.member_id, format_id(one.member_id))}", style="red") for one in view.alarms
    ]
    return lines if view.linearizable else [*lines, drawn(STALE, style="yellow")]


def _details(shown: Shown, width: int) -> list[Text]:
    """What the number of members that may fail comes from."""
    if shown.frame.view is None:
        return []
    found = verdict_of(shown.frame.view)
    return _wrapped(drawn(f"{found.counts}{found.assumed}"), width)


def _wrapped(text: Text, width: int) -> list[Text]:
    return list(text.wrap(Console(width=width), width, overflow="fold"))


def _cut(line: Text, width: int, *, plain: bool) -> Text:
    if plain and not line.plain.isascii():
        # stdout would escape it, and the line would be longer than it was measured.
        line = Text(line.plain.encode("ascii", "backslashreplace").decode(), style=line.style)
    if cell_len(line.plain) > width:
        return Text(set_cell_size(line.plain, width - 1) + ("~" if plain else "…"), style=line.style)
    return line


@dataclass(frozen=True, slots=True)
class _Columns:
    """The width of each column; 0 of one for which there is no room."""

    name: int
    behind: int
    seconds: int
    curve: int


class _Rows:
    """The members as rows of a table."""

    def __init__(self, shown: Shown, width: int) -> None:
        self.shown, self.plain = shown, shown.plain
        self.view = shown.last
        self.members = in_order(shown.last) if shown.last else []
        self.columns = self._columns(width)
        self.looks = shown.looks[-self.columns.curve :] if self.columns.curve else ()
        self.most = most_in(self.looks)

    def _columns(self, width: int) -> _Columns:
        """Names are shortened last, and never below what tells them apart; the lag as a number goes before its curve."""
        behind = max([6, *(len(self._behind(member)) for member in self.members)])
        fixed = _ROLE + _STATE + 4
        longest = max([4, *(cell_len(_name(member)) for member in self.members)])
        name = min(longest, max(_LEAST_NAME, width - fixed - 2 - behind))
        left = width - name - fixed
        behind = behind if left >= behind + 2 else 0
        left -= behind + 2 if behind else 0
        seconds = _SECONDS if left >= _SECONDS + 2 + _CURVE + 2 else 0
        left -= seconds + 2 if seconds else 0
        return _Columns(name, behind, seconds, left - 2 if left >= _LEAST_CURVE + 2 else 0)

    def lines(self, room: int) -> list[Text]:
        """Returns the header and the rows; members that are not well come first where there is not room for all."""
        if not self.members or room < 1:
            return []
        cells = {"NAME": self.columns.name, "ROLE": _ROLE, "STATE": _STATE}
        header = "  ".join(set_cell_size(text, width) for text, width in cells.items())
        header += "".join(
            f"  {text.rjust(width)}"
            for text, width in (("BEHIND", self.columns.behind), ("SECONDS", self.columns.seconds))
            if width
        )
        scale = f"LAG, 0 TO {self.most} ENTRIES" if self.most else "LAG OVER TIME"
        header += f"  {scale if len(scale) <= self.columns.curve else 'LAG'}" if self.columns.curve else ""
        if len(self.members) < room:
            return [Text(header, style="bold"), *map(self._row, self.members)]
        if len(self.members) == room:
            return list(map(self._row, self.members))
        some = sorted(self.members, key=lambda member: not self._style(member))[: room - 1]
        kept = [member for member in self.members if member in some]
        more = len(self.members) - len(kept)
        return [*map(self._row, kept), Text(f"and {more} more, for which there is no room", style="dim")]

    def reasons(self) -> list[Text]:
        """Returns why members are not well, one line each, where their state alone does not say it."""
        view = self.shown.frame.view
        if view is None:
            return []
        told = [(member, health_words(member, view)) for member in self.members]
        return [drawn(f"{_name(member)}: {words}", style=self._style(member)) for member, words in told if words != "healthy"]

    def _row(self, member: Member) -> Text:
        view, columns = self.view, self.columns
        assert view is not None
        seconds = self.shown.frame.lags.get(member.id)
        cells = [
            shortened(_name(member), columns.name, plain=self.plain),
            role(member, view).ljust(_ROLE),
            self._state(member).ljust(_STATE),
        ]
        cells += [self._behind(member).rjust(columns.behind)] if columns.behind else []
        cells += [("" if seconds is None else f"{seconds:.1f}").rjust(columns.seconds)] if columns.seconds else []
        line = drawn("  ".join(cells), style=self._style(member))
        # Bars are ours; the rest is from members.
        return line + Text(f"  {curve(self.looks, member.id, most=self.most, plain=self.plain)}") if columns.curve else line

    def _state(self, member: Member) -> str:
        view = self.shown.frame.view
        if view is None:
            return "unknown"
        words = health_words(member, view)
        if words.startswith("no answer"):
            return "no answer"
        return "no leader" if words == NO_LEADER else words if words in ("healthy", "not asked") else "errors"

    def _behind(self, member: Member) -> str:
        view = self.shown.frame.view
        return str(lag_of(view, member)) if view is not None and member.id in self.shown.frame.lags else ""

    def _style(self, member: Member) -> str:
        """Returns the colour of what is bad; none for a member that is well."""
        view = self.shown.frame.view
        if view is None:
            return "dim"
        if self._state(member) != "healthy":
            return "red"
        return "yellow" if lag_of(view, member) > UP_TO_DATE_ENTRIES else ""


def _name(member: Member) -> str:
    return drawn(member.name or format_id(member.id)).plain


def shortened(name: str, width: int, *, plain: bool) -> str:
    """Returns the name in exactly `width` columns. A long one loses its middle: names of one cluster often begin alike."""
    if cell_len(name) <= width:
        return set_cell_size(name, width)
    tail = (width - 1) // 2
    end = name[-tail:] if tail else ""
    return set_cell_size(f"{set_cell_size(name, width - 1 - tail)}{'~' if plain else '…'}{end}", width)
