"""How the process of a new member that others run learns what it needs, and gets started."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorate.cli.output import echo
from quorate.errors import HostError

if TYPE_CHECKING:
    from quorate.cli.join_options import JoinOptions
    from quorate.etcd.elsewhere import Start


def starter(joining: JoinOptions) -> Start:
    """What happens between the registration and the wait: tell the variables, and run the command if there is one."""

    def start(name: str, rows: Sequence[tuple[str, str]]) -> None:
        from quorate.etcd.elsewhere import environment_file
        from quorate.files import write_atomic

        # Of all its peer URLs: a learner may have been registered with several.
        urls = ",".join(url for row, url in rows if row == name)
        text = environment_file(name, urls, rows)
        if joining.env_file is not None:
            write_atomic(joining.env_file, text.encode(), mode=0o600)
        else:
            echo(f"start the etcd of {name} with:\n{text}", err=True)
        if joining.start_command is not None:
            _run(joining.start_command, dict(line.split("=", 1) for line in text.splitlines()))

    return start


def restarter(joining: JoinOptions) -> Start | None:
    """What restarts the process of the new member, when the user gave a command for it."""
    command = joining.restart_command
    if command is None:
        return None

    def restart(name: str, _rows: Sequence[tuple[str, str]]) -> None:
        _run(command, {"ETCD_NAME": name}, "restart")

    return restart


def _run(command: str, variables: dict[str, str], which: str = "start") -> None:
    environment = {**os.environ, **{name: value.strip('"') for name, value in variables.items()}}
    try:
        subprocess.run(shlex.split(command), env=environment, check=True, stdin=subprocess.DEVNULL, stdout=2)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise HostError(f"the {which} command failed: {error}") from None
