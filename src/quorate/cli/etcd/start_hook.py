"""Hooks for a new member that this host does not run: they pass on its ETCD_* variables and run the user's commands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quorate.cli.common.output import document, echo
from quorate.deadline import Cancel
from quorate.errors import HostError
from quorate.host import programs
from quorate.host.environment import for_hooks

if TYPE_CHECKING:
    from quorate.cli.etcd.join_options import JoinOptions
    from quorate.etcd.membership.external import Start


def starter(joining: JoinOptions, cancel: Cancel) -> Start:
    """Returns the hook after the registration: it writes or prints the ETCD_* variables, and runs --start if given."""

    def start(name: str, rows: Sequence[tuple[str, str]]) -> None:
        from quorate.etcd.membership.external import environment_file, variables
        from quorate.files import write_atomic

        # All of its peer URLs: a learner may be registered with several.
        urls = ",".join(url for row, url in rows if row == name)
        values = variables(name, urls, rows)
        text = environment_file(values)
        if joining.env_file is not None:
            write_atomic(joining.env_file, text.encode(), mode=0o600)
        else:
            echo(f"start the etcd of {name} with:", err=True)
            document(text, err=True)
        if joining.start_command is not None:
            _run(joining.start_command, values, "start", cancel, joining.timeout)

    return start


def restarter(joining: JoinOptions, cancel: Cancel) -> Start | None:
    """Returns the hook that restarts the new member with --restart, or None without that option."""
    command = joining.restart_command
    if command is None:
        return None

    def restart(name: str, _rows: Sequence[tuple[str, str]]) -> None:
        _run(command, {"ETCD_NAME": name}, "restart", cancel, joining.timeout)

    return restart


def _run(command: str, values: Mapping[str, str], which: str, cancel: Cancel, seconds: float) -> None:
    """Runs the user's command with the user's environment, without the variables meant for us. Raises `HostError` when it
    fails or takes longer than `seconds`: the command starts a service and must return."""
    try:
        words = shlex.split(command)
        code = programs.run_visibly(words, {**for_hooks(os.environ), **values}, seconds=seconds, cancel=cancel)
    except (HostError, ValueError) as error:
        raise HostError(f"the {which} command failed: {getattr(error, 'what', error)}") from None
    if code != 0:
        raise HostError(f"the {which} command failed: {words[0]} exited with code {code}")
