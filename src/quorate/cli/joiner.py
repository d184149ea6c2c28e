"""What commands that add a member have in common: how the new process learns what it needs, and gets started."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.errors import HostError

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.elsewhere import Start
    from quorate.etcd.probe import Gap

Command = Callable[..., Any]


def new_member_options(command: Command) -> Command:
    """--env-file and --start."""
    for option in (
        click.option(
            "--env-file",
            type=click.Path(path_type=Path),
            help="Write the new process' ETCD_* variables here instead of to stderr.",
        ),
        click.option(
            "--start", "start_command", metavar="CMD", help="Run this once the member is registered; it gets the variables."
        ),
    ):
        command = option(command)
    return command


@contextmanager
def probed(cluster: Cluster, wanted: bool) -> Iterator[Callable[[], Gap | None]]:
    """A writer beside the block, when wanted; what it gives tells afterwards what the writer saw."""
    if not wanted:
        yield lambda: None
        return
    with cluster.probe() as probe:
        yield lambda: probe.gap


def starter(env_file: Path | None, start_command: str | None) -> Start:
    """What happens between the registration and the wait: tell the variables, and run the command if there is one."""

    def start(name: str, rows: Sequence[tuple[str, str]]) -> None:
        from quorate.etcd.elsewhere import environment_file
        from quorate.files import write_atomic

        text = environment_file(name, dict(rows)[name], rows)
        if env_file is not None:
            write_atomic(env_file, text.encode(), mode=0o600)
        else:
            click.echo(f"start the etcd of {name} with:\n{text}", err=True)
        if start_command is not None:
            _run(start_command, dict(line.split("=", 1) for line in text.splitlines()))

    return start


def _run(command: str, variables: dict[str, str]) -> None:
    environment = {**os.environ, **{name: value.strip('"') for name, value in variables.items()}}
    try:
        subprocess.run(shlex.split(command), env=environment, check=True, stdin=subprocess.DEVNULL, stdout=2)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise HostError(f"the start command failed: {error}") from None
