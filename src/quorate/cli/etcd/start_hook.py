"""How the process of a new member that others run learns what it needs, and gets started."""

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
    """What happens between the registration and the wait: tell the variables, and run the command if there is one."""

    def start(name: str, rows: Sequence[tuple[str, str]]) -> None:
        from quorate.etcd.membership.external import environment_file, variables
        from quorate.files import write_atomic

        # Of all its peer URLs: a learner may have been registered with several.
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
    """What restarts the process of the new member, when the user gave a command for it."""
    command = joining.restart_command
    if command is None:
        return None

    def restart(name: str, _rows: Sequence[tuple[str, str]]) -> None:
        _run(command, {"ETCD_NAME": name}, "restart", cancel, joining.timeout)

    return restart


def _run(command: str, values: Mapping[str, str], which: str, cancel: Cancel, seconds: float) -> None:
    """The user's own command, with the user's own environment but for what is meant for us. It is to return: it starts a
    service, and does not stay."""
    try:
        words = shlex.split(command)
        code = programs.run_visibly(words, {**for_hooks(os.environ), **values}, seconds=seconds, cancel=cancel)
    except (HostError, ValueError) as error:
        raise HostError(f"the {which} command failed: {getattr(error, 'what', error)}") from None
    if code != 0:
        raise HostError(f"the {which} command failed: {words[0]} ended with exit code {code}")
