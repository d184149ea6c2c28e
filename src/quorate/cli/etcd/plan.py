"""`quorate etcd plan`: the safe steps from the current members to the wanted members."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.cli.etcd.connection import cluster_opened, connection_options
from quorate.cli.etcd.join_options import JoinOptions, join_options
from quorate.cli.etcd.start_hook import starter
from quorate.errors import ConfigError, Refused

if TYPE_CHECKING:
    from quorate.core.decide_converge import Choice, NextStep, Wanted
    from quorate.core.membership import ClusterView

_MOST_BYTES = 1 << 20


@click.command()
@click.option(
    "--want",
    "want",
    required=True,
    type=click.Path(path_type=Path),
    help="YAML or JSON: members, each with a name and a peerURL. The output of 'etcd members -o yaml' works.",
)
@click.option("--apply", "apply_it", is_flag=True, help="Carry out the plan, one safe step at a time.")
@click.option("--dry-run", is_flag=True, help="Only show the plan, as without --apply.")
@join_options
@connection_options
@output_option()
def plan(want: Path, joining: JoinOptions, form: str, apply_it: bool, dry_run: bool) -> None:
    """Show the safe steps to the members of a file. With --apply, carry them out.

    Unwanted dead members are removed first. Then joins and removals alternate, so that no step lowers how many members may
    fail. Each step is decided from the current state, so the same command resumes an interrupted run.

    \b
    Examples:
      quorate etcd members -o yaml > want.yaml      # edit it, then
      quorate etcd plan --want want.yaml
      quorate etcd plan --want want.yaml --apply --start './start-member.sh'
    """
    wanted = read_wanted(want)
    if apply_it and not dry_run:
        with cluster_opened() as opened:
            cluster = joining.applied(opened)
            consent = joining.accept_reduced_tolerance
            start = starter(joining, cluster.clock.cancel, cluster.report)
            taken = cluster.converge(wanted, start=start, accept_reduced_tolerance=consent)
            _show_taken(cluster.status(), taken, form)
        return
    from quorate.core.decide_converge import ConvergeGoal, steps

    with cluster_opened() as opened:
        cluster = joining.applied(opened)
        view, goal = cluster.status(), ConvergeGoal(tuple(wanted), joining.accept_reduced_tolerance)
        found = list(steps(view, goal, cluster.proved_dead(view, goal)))
    _show_plan(view, found, form)


def read_wanted(path: Path) -> list[Wanted]:
    """Returns the members of a file. Raises `ConfigError` that names what is wrong with the file."""
    from quorate.core.decide_converge import Wanted
    from quorate.core.ids import normalise_url
    from quorate.foreign.documents import read_mapping
    from quorate.foreign.local_files import read_at_most

    rows = read_mapping(read_at_most(path, _MOST_BYTES), str(path)).get("members")
    if not isinstance(rows, list):
        raise ConfigError(f"{path} has no list 'members'", advice="each row has a name and a peerURL")
    wanted = [Wanted(*_name_and_url(row, f"{path}: members[{number}]")) for number, row in enumerate(rows)]
    wanted = [Wanted(row.name, normalise_url(row.peer_url)) for row in wanted]
    for kind, values in (("name", [row.name for row in wanted]), ("peerURL", [row.peer_url for row in wanted])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ConfigError(f"{path} has the {kind} {twice} twice")
    return wanted


def _name_and_url(row: Any, where: str) -> tuple[str, str]:
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is not a member: it needs a name and a peerURL")
    name, url, urls = row.get("name"), row.get("peerURL"), row.get("peerURLs")
    if url is None and isinstance(urls, list) and len(urls) == 1:
        url = urls[0]
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where} has no name")
    if not isinstance(url, str):
        raise ConfigError(f"{where} ({name}) needs exactly one peerURL")
    return name, url


def _words(step: NextStep) -> str:
    from quorate.core.decide_converge import JoinNext

    if isinstance(step, JoinNext):
        return f"join {step.member.name} at {step.member.peer_url}, as a learner first"
    return f"remove {step.member.name or 'an unstarted member'} ({step.member.id:x}): {step.why}"


def _show_plan(view: ClusterView, choices: list[Choice], form: str) -> None:
    """Prints the steps, each with how many may fail after it. Raises `Refused` when the steps end in a refusal."""
    from quorate.core.actions import Done, Refuse
    from quorate.core.decide_converge import after, margin_after

    rows: list[dict[str, object]] = []
    words: list[str] = []
    for number, choice in enumerate(choices, 1):
        if isinstance(choice, Done | Refuse):
            break
        voters, quorum, margin = margin_after(view, choice)
        words.append(_words(choice))
        rows.append({"step": number, **choice.as_dict(), "voters": voters, "quorum": quorum, "margin": margin})
        view = after(view, choice)
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
    if refusal is not None:
        raise Refused(refusal.why, state="nothing was changed", advice=refusal.advice)


def _show_taken(view: ClusterView, taken: list[NextStep], form: str) -> None:
    from quorate.cli.common.cluster_output import cluster_json, print_margin, print_members

    def table() -> None:
        for number, step in enumerate(taken, 1):
            echo(f"{number}. {_words(step)}")
        print_members(view)
        print_margin(view)

    steps = [{"step": number, **step.as_dict()} for number, step in enumerate(taken, 1)]
    emit(form, "ConvergeResult", {"steps": steps, **cluster_json(view)}, table)
