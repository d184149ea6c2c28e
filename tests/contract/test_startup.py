"""What start-up costs, held by what is loaded: times differ from machine to machine, modules do not (docs/startup.md)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from startup_modules import ALONE, ASKING, HEAVY, loaded_by, ours, recorded, variables_of

from quorate.cli.common.commands import Context, Group
from quorate.cli.main import main
from quorate.local.home import Home

RULE = "import it in the function that needs it, or say that it is needed:"


def check(command: str, needed: frozenset[str], folder: Path, variables: Mapping[str, str]) -> None:
    loaded = loaded_by(command, folder, variables)
    heavy = sorted(loaded & HEAVY - needed)
    assert not heavy, f"quorate {command} loads {', '.join(heavy)}; {RULE} tests/startup_modules.py"
    more = sorted(set(ours(loaded)) - set(recorded()[command]))
    assert not more, f"quorate {command} loads {', '.join(more)}; {RULE} make startup"


@pytest.mark.parametrize("command", ALONE)
def test_a_frequent_command_loads_no_more_than_it_did(command: str, tmp_path: Path) -> None:
    check(command, ALONE[command], tmp_path, {})


@pytest.mark.real
def test_a_command_that_asks_a_cluster_loads_no_more_than_it_did(home: Home, etcd36: str, tmp_path: Path) -> None:
    variables = variables_of(home, etcd36)
    for command, needed in ASKING.items():
        check(command, needed, tmp_path, variables)


def groups(ctx: Context) -> Iterator[tuple[Context, Group]]:
    assert isinstance(ctx.command, Group)
    yield ctx, ctx.command
    for name in ctx.command.list_commands(ctx):
        found = ctx.command.get_command(ctx, name)
        if isinstance(found, Group):
            yield from groups(Context(found, ctx, name))


def test_a_command_that_is_imported_later_has_the_help_that_its_group_shows() -> None:
    checked = 0
    for ctx, group in groups(Context(main, None, "quorate")):
        for name, (_, _, text) in group.later.items():
            command = group.get_command(ctx, name)
            assert command is not None and command.name == name and not command.hidden
            assert command.get_short_help_str(1000) == text, f"{ctx.command_path} {name}"
            checked += 1
    assert checked >= 20


def test_the_collector_runs_seldom_and_not_at_exit() -> None:
    script = (
        "import atexit, gc, sys\n"
        "from quorate.cli.entry import run\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 10_000))\n"
        "sys.argv[1:] = ['--version']\n"
        "run()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True True True"
