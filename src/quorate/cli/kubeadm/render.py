"""What phases say, and what a dry run would have written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from quorate.report import Event, Message, Notice, PhaseLine, PhaseReport

if TYPE_CHECKING:
    from quorate.core.preflight import Finding
    from quorate.tree import Change, Tree


def printer(*, quiet: bool) -> PhaseReport:
    """Phase lines to stdout as kubeadm prints them, notes to stderr. `quiet`: stdout is for a result."""

    def report(message: Message | PhaseLine) -> None:
        match message:
            case PhaseLine(phase=phase, text=text):
                click.echo(f"[{phase}] {text}", err=quiet)
            case Notice(level="warning", text=text):
                click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {text}", err=True)
            case Notice(text=text):
                click.echo(text, err=True)
            case Event(member=member, text=text):
                click.echo(f"[etcd] {member}: {text}", err=True)

    return report


def show_changes(tree: Tree) -> None:
    """Of a dry run: each file as a difference to what is there; keys and tokens are named and not shown."""
    from quorate.tree import DryTree

    if not isinstance(tree, DryTree):
        return
    for change in tree.changes():
        _show(change)


def _show(change: Change) -> None:
    label = {"create": "would write", "change": "would change", "keep": "would leave as it is:", "remove": "would remove"}
    mode = "" if change.kind == "remove" else f" (mode {change.mode:04o})"
    click.echo(f"[dryrun] {label[change.kind]} {change.path}{mode}")
    if change.kind in ("keep", "remove"):
        return
    if change.secret:
        click.echo("    (holds a secret: not shown)")
        return
    import difflib

    before, after = (change.before or b"").decode(errors="replace"), (change.after or b"").decode(errors="replace")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), change.path, change.path, lineterm="")
    for line in list(lines)[2:]:
        click.echo(f"    {_coloured(line)}")


def _coloured(line: str) -> str:
    colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return click.style(line, fg=colour) if colour else line


def as_json(findings: Iterable[Finding], tree: Tree, *, dry_run: bool) -> str:
    """What a whole run or a phase found and would write, for `-o json`."""
    found = [{"check": one.name, "level": one.level, "text": one.text} for one in findings]
    return json.dumps({"dryRun": dry_run, "findings": found, "files": _changes_as_data(tree)}, indent=2)


def _changes_as_data(tree: Tree) -> list[dict[str, object]]:
    """Without any content of secrets."""
    from quorate.tree import DryTree

    if not isinstance(tree, DryTree):
        return []
    return [
        {
            "path": change.path,
            "change": change.kind,
            "mode": f"{change.mode:04o}",
            "content": None if change.secret or change.after is None else change.after.decode(errors="replace"),
        }
        for change in tree.changes()
    ]
