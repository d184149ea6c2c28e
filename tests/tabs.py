"""Completion as shells ask for it: by the protocol of a script, and by a TAB in the shell itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from screens import Terminal, started

from quorate.cli.common.shells import SHELLS as KINDS
from quorate.cli.main import main

BIN = Path(sys.executable).parent
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "--private"),
}
_SETUP = {
    "bash": "PS1='> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; eval \"$(quorate completion bash)\"",
    "zsh": "PS1='> '; autoload -U compinit; compinit -u -D; source <(quorate completion zsh)",
    "fish": "function fish_prompt; echo '> '; end; quorate completion fish | source",
}
INSTALLED = [name for name, words in SHELLS.items() if shutil.which(words[0])]
"""bash is a program that the tests need; the others are tested where they are."""


@dataclass(frozen=True)
class Answer:
    """What was printed for a script. `rows`: the kind and the value of each answer."""

    stdout: str
    rows: list[tuple[str, str]]

    @property
    def words(self) -> list[str]:
        return [value for kind, value in self.rows if kind == "plain"]

    @property
    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.rows}


def ask(line: str, shell: str = "bash", **environment: str) -> Answer:
    """Asks for the line up to the cursor. Nothing is ever on stderr, and the exit code is 0."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "QUORATE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "quorate"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**clean, "COMP_LINE": line, "_QUORATE_COMPLETE": f"{shell}_complete", **environment},
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return Answer(done.stdout, list(_rows(shell, done.stdout)))


def complete(line: str, shell: str, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Asks in this process."""
    monkeypatch.setenv("COMP_LINE", line)
    text = KINDS[shell](main, {}, "quorate", "_QUORATE_COMPLETE").complete() + "\n"
    return Answer(text, list(_rows(shell, text)))


def _rows(shell: str, text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines()
    if lines == [""]:
        return
    if shell == "zsh":
        assert len(lines) % 3 == 0, lines
        yield from zip(lines[::3], lines[1::3], strict=True)
        return
    for line in lines:
        kind, comma, value = line.partition(",")
        assert comma and kind in ("plain", "file", "dir"), line
        yield kind, value.partition("\t")[0] if shell == "fish" else value


@contextmanager
def prompt(shell: str, folder: Path, **environment: str) -> Iterator[Terminal]:
    """Yields an interactive shell in `folder` that has read the script of `quorate completion`."""
    paths = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    with started([*SHELLS[shell]], 150, 40, {**paths, **environment}) as shown:
        typed(shown, f"cd {folder}; {_SETUP[shell]}; echo rea'd'y\r")
        shown.until(lambda: any(line.endswith("ready") for line in shown.lines))
        yield shown


def typed(shown: Terminal, keys: str) -> None:
    os.write(shown.descriptor, keys.encode())


def after_tab(shown: Terminal, line: str, wanted: str) -> None:
    """Types the line and TAB, waits until the line is as wanted, and clears it."""
    typed(shown, f"{line}\t")
    shown.until(lambda: any(f"> {wanted}" == one or one.endswith(f"> {wanted}") for one in shown.lines))
    typed(shown, "\x15\r")
