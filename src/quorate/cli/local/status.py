"""`quorate local status`: the members as etcd lists them, each with its process here, then those of this directory that it does
not list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorate.cli.common.cluster_output import STATUS_HEADERS, print_notes, status_rows
from quorate.cli.common.output import echo, print_table
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, in_order
from quorate.local.removed import removed_from
from quorate.local.rows import listed_row
from quorate.local.runtime import REMOVED, describe

if TYPE_CHECKING:
    from quorate.local.home import Home
    from quorate.local.state import LocalMember


def processes_of(home: Home) -> dict[str, str]:
    """Returns the process of each member of this directory, by name."""
    return {member.name: describe(home.daemon(member.name)) for member in home.load().members}


@dataclass(frozen=True, slots=True)
class Here:
    """The members of a directory beside the list of etcd. `processes` are by name, `unlisted` those that the list lacks, and
    `removed` the names of those which it lacks for good."""

    processes: dict[str, str]
    by_id: dict[int, str]
    unlisted: tuple[LocalMember, ...]
    removed: tuple[str, ...]


def compare(home: Home, view: ClusterView, processes: dict[str, str]) -> Here:
    """Returns the members of this directory, compared with the list by their ids: another machine's may have the same name."""
    removed = tuple(row.name for row in removed_from(home, view))
    shown = {name: _with_removal(state) if name in removed else state for name, state in processes.items()}
    rows = [(row, listed_row(home, view, row)) for row in home.load().members if row.name in shown]
    by_id = {found.id: shown[row.name] for row, found in rows if found is not None}
    return Here(shown, by_id, tuple(row for row, found in rows if found is None), removed)


def _with_removal(state: str) -> str:
    return REMOVED if state in (REMOVED, "stopped") else f"{state}, {REMOVED}"


def print_local_status(view: ClusterView, here: Here, where: str) -> None:
    """Prints one line per member, and below the margin what deletes a member that was removed. `where`: the option that names
    the directory."""
    listed = [(*row, here.by_id.get(member.id, "")) for member, row in zip(in_order(view), status_rows(view), strict=True)]
    others = [(*_unlisted(row, here), "", "", "", here.processes[row.name]) for row in here.unlisted]
    print_table((*STATUS_HEADERS, "PROCESS"), [*listed, *others])
    print_notes(view)
    for name in here.removed:
        echo(f"{name} was removed from the cluster; to delete its data: quorate local leave {name} {where}")


def _unlisted(row: LocalMember, here: Here) -> tuple[str, str, str, str]:
    known = row.memory.member_id
    role = REMOVED if row.name in here.removed else row.phase
    return (format_id(known) if known else "", row.name, role, "not in the member list")
