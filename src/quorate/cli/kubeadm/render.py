"""Output of phases while they run, and of what a run made: text for people, or one JSON object per line for programs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from quorate.cli.common import terminal
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.logs import Logs
from quorate.cli.common.output import API_VERSION, Printed, begin_events, document, echo, emit_event, styled
from quorate.cli.common.progress import describe, is_shown, log_message
from quorate.cli.kubeadm.flags import Given
from quorate.foreign.text import visible
from quorate.report import Event, Notice, PhaseDone, PhaseLine, ResourceWritten, RunMessage

if TYPE_CHECKING:
    from quorate.core.finding import Finding
    from quorate.tree import Change, Tree

_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A phase that has ended, and what it made."""

    done: PhaseDone
    made: tuple[ResourceWritten, ...]


@dataclass(slots=True)
class Ledger:
    """The phases that have ended, in order, each with what it made."""

    rows: list[Row] = field(default_factory=list[Row])
    _made: list[ResourceWritten] = field(default_factory=list[ResourceWritten])

    def note(self, told: RunMessage) -> None:
        if isinstance(told, ResourceWritten):
            if not told.name.rpartition("/")[2].startswith("."):
                # A dotfile is a note of ours or a manifest that is held back: it does not outlive the run.
                self._made.append(told)
        elif isinstance(told, PhaseDone):
            self.rows.append(Row(told, tuple(dict.fromkeys(self._made))))
            self._made.clear()


@dataclass(slots=True)
class Text:
    """Prints phase lines to stdout as kubeadm does, and notes and the progress of etcd to stderr. On a terminal each line
    begins with the seconds since the start; at the end of the line they would be copied with keys and tokens. With --quiet
    only warnings go to stderr."""

    lines_to_stderr: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    began: float = field(default_factory=time.monotonic)

    def __call__(self, told: RunMessage) -> None:
        self.ledger.note(told)
        match told:
            case PhaseLine(phase=phase, text=text, more=more) if not (self.lines_to_stderr and Logs.quiet):
                self._print(f"[{phase}] {text}", err=self.lines_to_stderr)
                for line in more:
                    echo(line, err=self.lines_to_stderr)
            case Notice() | Event():
                log_message(told)
                if is_shown(told):
                    self._print(*note_line(told), err=True)
            case _:
                pass

    def _print(self, *line: str, err: bool) -> None:
        elapsed = styled(f"{time.monotonic() - self.began:6.1f} s ", dim=True) if terminal.draws(err=err) else ""
        echo(elapsed, *line, err=err)


def note_line(told: Notice | Event) -> tuple[str, ...]:
    """Returns the parts of a line on stderr, for `echo`."""
    match told:
        case Notice(level="warning", text=text):
            return styled("warning:", fg="yellow", bold=True), f" {text}"
        case Notice(text=text):
            return (text,)
        case Event(member=member):
            return (f"[etcd] {member}: {describe(told)}",)


@dataclass(slots=True)
class Lines:
    """Prints everything to stdout as events, one JSON object per line. The last event of a successful run is its result."""

    ledger: Ledger = field(default_factory=Ledger)

    def __call__(self, told: RunMessage) -> None:
        self.ledger.note(told)
        if isinstance(told, Notice | Event):
            log_message(told)
        emit_event(as_event(told))


Printer: TypeAlias = Text | Lines


def printer(given: Given) -> Printer:
    """Returns the printer for `-o text` or `-o json` of a command that changes something while it prints."""
    made: Printer = text_printer()
    if given.text("form") == "json":
        begin_events()
        made = Lines()
    say_root(given, made)
    return made


def text_printer() -> Text:
    """Returns the printer of such a command that has text only."""
    Printed.to_the_end = True
    return Text()


def say_root(given: Given, report: Printer) -> None:
    """Says once where --rootfs leads: all paths that phases name are meant below it, and look like those of this host."""
    if given.text("rootfs"):
        report(Notice(f"all paths are meant below {Path(given.text('rootfs')).absolute()}"))


def to_stderr() -> Text:
    """Returns a printer to stderr only, for commands whose stdout is one document."""
    return Text(lines_to_stderr=True)


def as_event(told: RunMessage) -> dict[str, Any]:
    """Returns a message as the JSON event of `-o json`."""
    match told:
        case PhaseLine(phase=phase, text=text, more=more):
            return {"event": "line", "phase": phase, "text": "\n".join((text, *more))}
        case Notice(level=level, text=text):
            return {"event": "note", "level": level, "text": text}
        case ResourceWritten(kind=kind, name=name):
            return {"event": "made", "kind": kind, "name": name}
        case PhaseDone(phase=phase, seconds=seconds, failed=failed):
            return {"event": "phase", "phase": phase, "seconds": round(seconds, 3), "failed": failed}
        case Event():
            return {"event": "progress", **{_camel(key): value for key, value in asdict(told).items() if value is not None}}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def finish(report: Printer, findings: Iterable[Finding], tree: Tree, *, dry_run: bool, closing: str) -> None:
    """Ends a successful run: prints its result as the last event, or its summary and what to do next as text."""
    if isinstance(report, Lines):
        emit_event(result(report.ledger, findings, tree, dry_run=dry_run, closing=closing or (NOTHING_DONE if dry_run else "")))
        return
    show_changes(tree)
    if not dry_run and len(report.ledger.rows) > 1:
        for line in summary(report.ledger):
            echo(line)
    for line in closing.split("\n") if closing else ():
        # Some lines are commands to paste: none may be truncated.
        document(visible(line, most=len(line), keep="\t") + "\n")
    if dry_run:
        # On stderr: with --print-manifest stdout is YAML.
        echo(NOTHING_DONE, err=True)


def result(ledger: Ledger, findings: Iterable[Finding], tree: Tree, *, dry_run: bool, closing: str = "") -> dict[str, Any]:
    """Returns the last event: what a run or a phase found, made, or would write. `closing`: the end of the text output, such
    as what to do next."""
    found = [one.as_dict() for one in findings]
    phases = [
        {
            "phase": row.done.phase,
            "seconds": round(row.done.seconds, 3),
            "made": [f"{one.kind}: {one.name}" for one in row.made],
        }
        for row in ledger.rows
    ]
    return {
        "event": "result",
        "apiVersion": API_VERSION,
        "dryRun": dry_run,
        "findings": found,
        "phases": phases,
        "files": _changes_as_data(tree),
        "closing": closing.strip(),
    }


def summary(ledger: Ledger) -> list[str]:
    """Returns a line for each phase of a run, with its seconds and what it made, and a line for the total."""
    width = max((len(row.done.phase) for row in ledger.rows), default=0)
    total = sum(row.done.seconds for row in ledger.rows)
    lines = [f"[summary] {row.done.phase:{width}} {row.done.seconds:6.1f} s  {_in_words(row.made)}" for row in ledger.rows]
    return [line.rstrip() for line in [*lines, f"[summary] {'in all':{width}} {total:6.1f} s"]]


def _in_words(made: Sequence[ResourceWritten]) -> str:
    folders = Counter(one.name.rpartition("/")[0] for one in made if one.kind == "file")
    files = [f"{count} file{'s' if count > 1 else ''} in {folder}" for folder, count in folders.items()]
    names = [one.name for one in made if one.kind != "file"]
    if len(names) > _MOST_NAMES:
        kinds = Counter(name.partition(" ")[0] for name in names)
        names = [f"{count} {kind}" for kind, count in kinds.items()]
    return ", ".join([*files, *names])


def show_changes(tree: Tree) -> None:
    """Prints each file of a dry run as a diff against the existing one. Files with keys or tokens are named, not shown."""
    from quorate.dry_tree import DryTree

    if not isinstance(tree, DryTree):
        return
    for change in tree.changes():
        _show(change)


def _show(change: Change) -> None:
    label = {"create": "would write", "change": "would change", "keep": "would leave unchanged:", "remove": "would remove"}
    mode = "" if change.kind == "remove" else f" (mode {change.mode:04o})"
    echo(f"[dryrun] {label[change.kind]} {change.path}{mode}")
    if change.kind in ("keep", "remove"):
        return
    if change.secret:
        echo("    (holds a secret: not shown)")
        return
    import difflib

    before, after = (change.before or b"").decode(errors="replace"), (change.after or b"").decode(errors="replace")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), change.path, change.path, lineterm="")
    for line in list(lines)[2:]:
        echo(styled(f"    {line}", fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1])))


def _changes_as_data(tree: Tree) -> list[dict[str, object]]:
    """Returns the files of a dry run, without the content of secrets."""
    from quorate.dry_tree import DryTree

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
