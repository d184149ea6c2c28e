"""`quorate etcd plan`: the safe steps from the current members to the wanted members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.commands import command
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.join_options import JoinOptions, join_options
from quorate.cli.etcd.opening import cluster_opened, cluster_to_change
from quorate.cli.etcd.start_hook import starter
from quorate.errors import ConfigError

if TYPE_CHECKING:
    from quorate.core.decide_converge import Choice, NextStep, Wanted
    from quorate.core.membership import ClusterView

_MOST_BYTES = 1 << 20
_KEYS = ("apiVersion", "kind", "linearizable", "members")
_MEMBER_KEYS = ("name", "peerURL", "peerURLs", "id", "status", "isLearner", "isStandby", "isLeader", "clientURLs")
"""The keys of `etcd members -o yaml`, and peerURL; the name, the URL and isLearner say what is wanted."""


@command()
@click.option(
    "--want",
    "want",
    required=True,
    type=click.Path(path_type=Path),
    help="YAML or JSON, - for standard input: members, each with a name and a peerURL. The output of 'etcd members -o yaml' "
    "works.",
)
@click.option("--apply", "apply_it", is_flag=True, help="Carry out the plan, one safe step at a time.")
@click.option("--dry-run", is_flag=True, help="Only show the plan, as without --apply.")
@join_options
@connection_options
@output_option()
def plan(want: Path, joining: JoinOptions, form: str, apply_it: bool, dry_run: bool) -> None:
    """Show the safe steps to the members of a file. With --apply, carry them out.

    A member with 'isLearner: true', such as a standby, stays the learner that it is; all others are to be voters.
    Unwanted dead members are removed first. Then joins and removals alternate, so that no step lowers how many members may
    fail. Each step is decided from the current state, so the same command resumes an interrupted run.

    \b
    Examples:
      quorate etcd members -o yaml > want.yaml      # edit it, then
      quorate etcd plan --want want.yaml
      quorate etcd plan --want want.yaml --apply --start './start-member.sh'
      ./wanted-members.sh | quorate etcd plan --want -
    """
    from quorate.core.decide_converge import ConvergeGoal, steps
    from quorate.etcd.membership.converge import first_check, judge_plan

    wanted, consent = read_wanted(want), joining.accept_reduced_tolerance
    changes = apply_it and not dry_run
    with cluster_to_change() if changes else cluster_opened() as opened:
        cluster = joining.applied(opened)
        start = starter(joining, cluster.clock.cancel, cluster.report)
        if changes:
            taken = cluster.converge(wanted, start=start, accept_reduced_tolerance=consent)
            _show_taken(cluster.status(), taken, form)
            return
        view, goal = cluster.with_standbys(cluster.status()), ConvergeGoal(tuple(wanted), consent)
        dead = cluster.proved_dead(view, goal)
        found = list(steps(view, goal, dead))
        _show_plan(view, found, form)
        removal = partial(cluster.check_remove, accept_reduced_tolerance=consent)
        judge_plan(view, found, dead, first_check(cluster.check_join, removal))
    if form == "table":
        echo(f"{NOTHING_DONE}; --apply carries the plan out")


def read_wanted(path: Path) -> list[Wanted]:
    """Returns the members of a file; `-` is standard input. Raises `ConfigError` that names what is wrong with it."""
    from quorate.core.decide_converge import Wanted, named_twice
    from quorate.core.ids import normalise_url
    from quorate.foreign.documents import read_mapping
    from quorate.foreign.local_files import read_at_most, shown

    content, path = read_at_most(path, _MOST_BYTES), Path(shown(path))
    document = read_mapping(content, str(path))
    _refuse_unknown(document, _KEYS, str(path))
    if document.get("linearizable") is False:
        raise ConfigError(
            f"{path} is one member's own copy of the list, which may be stale: it would bring back members that were removed",
            state="nothing was changed",
            advice="print the list again once there is a quorum; or delete the line 'linearizable' when the list is right",
        )
    rows = document.get("members")
    if not isinstance(rows, list):
        raise ConfigError(f"{path} has no list 'members'", advice="each row has a name and a peerURL")
    read = [_read_row(row, f"{path}: members[{number}]") for number, row in enumerate(rows)]
    wanted = [Wanted(name, normalise_url(url), learner) for name, url, learner in read]
    if problem := named_twice(wanted):
        raise ConfigError(f"{path} has {problem}")
    return wanted


def _read_row(row: Any, where: str) -> tuple[str, str, bool]:
    """Returns the name, the peer URL, and whether the member is wanted as the learner that it is."""
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is not a member: it needs a name and a peerURL")
    _refuse_unknown(row, _MEMBER_KEYS, where)
    if "peerURL" in row and "peerURLs" in row:
        raise ConfigError(f"{where} has a peerURL and peerURLs: give one of them")
    name, url, urls = row.get("name"), row.get("peerURL"), row.get("peerURLs")
    if url is None and isinstance(urls, list) and len(urls) == 1:
        url = urls[0]
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where} has no name")
    if not isinstance(url, str):
        raise ConfigError(f"{where} ({name}) needs exactly one peerURL")
    learner = row.get("isLearner", False)
    if not isinstance(learner, bool):
        raise ConfigError(f"{where} ({name}): isLearner is true or false")
    return name, url, learner


def _refuse_unknown(mapping: Mapping[str, object], known: Sequence[str], where: str) -> None:
    """Raises `ConfigError` for a key that nothing reads: a misspelled one would be taken to have worked."""
    for key in mapping:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            raise ConfigError(f"{where} has the unknown key {key!r}{f'; did you mean {near[0]}?' if near else ''}")


def _words(step: NextStep) -> str:
    from quorate.core.decide_converge import JoinNext

    if isinstance(step, JoinNext) and step.listed is not None:
        what = f", {step.why}," if step.why else ""
        return f"promote {step.member.name} ({step.listed.id:x}){what} once it is aligned"
    if isinstance(step, JoinNext):
        return f"join {step.member.name} at {step.member.peer_url}, as a learner first"
    return f"remove {step.member.name or 'an unstarted member'} ({step.member.id:x}): {step.why}"


def _show_plan(view: ClusterView, choices: list[Choice], form: str) -> None:
    """Prints the steps, each with how many may fail after it."""
    from quorate.core.actions import Done, Refuse
    from quorate.core.decide_converge import after
    from quorate.core.foresight import afterwards

    rows: list[dict[str, object]] = []
    words: list[str] = []
    for number, choice in enumerate(choices, 1):
        if isinstance(choice, Done | Refuse):
            break
        words.append(_words(choice))
        view = after(view, choice)
        rows.append({"step": number, **choice.as_dict(), **afterwards(view).as_dict()})
    refusal = choices[-1] if isinstance(choices[-1], Refuse) else None

    def table() -> None:
        if rows:
            print_table(
                ("STEP", "ACTION", "VOTERS", "QUORUM", "MAY FAIL"),
                [
                    (str(row["step"]), text, *(str(row[key]) for key in ("voters", "quorum", "margin")))
                    for row, text in zip(rows, words, strict=True)
                ],
            )
        elif refusal is None:
            echo("nothing to do: the cluster has the wanted members")

    refused = {"reason": refusal.why, "advice": refusal.advice} if refusal else None
    emit(form, "Plan", {"steps": rows, "refused": refused}, table)


def _show_taken(view: ClusterView, taken: list[NextStep], form: str) -> None:
    from quorate.cli.common.cluster_output import cluster_json, print_margin, print_members

    def table() -> None:
        for number, step in enumerate(taken, 1):
            echo(f"{number}. {_words(step)}")
        print_members(view)
        print_margin(view)

    steps = [{"step": number, **step.as_dict()} for number, step in enumerate(taken, 1)]
    emit(form, "ConvergeResult", {"steps": steps, **cluster_json(view)}, table)
