"""Hooks for a new member that this host does not run: they pass on its ETCD_* variables and run the user's commands."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.common.output import document, echo
from quorate.deadline import Cancel
from quorate.errors import ConfigError, HostError
from quorate.host import programs
from quorate.host.environment import for_hooks
from quorate.report import Notice, Report, silent

if TYPE_CHECKING:
    from quorate.cli.etcd.join_options import JoinOptions
    from quorate.etcd.membership.external import Start

_SLOW_SECONDS = 5.0
_LOOK_AT = "look at its log; etcd ends at once when its flags repeat what an ETCD_* variable above sets"


def starter(joining: JoinOptions, cancel: Cancel, report: Report = silent) -> Start:
    """Returns the hook after the registration: it writes or prints the ETCD_* variables, and runs --start if given. Raises
    `ConfigError` where that could not work: it would otherwise fail with the member registered."""
    words = _words(joining.start_command, "--start")
    _check_place(joining.env_file)

    def start(name: str, rows: Sequence[tuple[str, str]]) -> str | None:
        from quorate.cli.common.named_files import content_of, write_named
        from quorate.etcd.membership.external import environment_file, variables

        # All of its peer URLs: a learner may be registered with several.
        urls = ",".join(url for row, url in rows if row == name)
        values = variables(name, urls, rows)
        text = environment_file(values)
        if joining.env_file is not None:
            write_named(joining.env_file, text.encode(), mode=0o600, instead_of=content_of(joining.env_file))
        else:
            passed = " (--start gets them)" if words else ""
            echo(f"start the etcd of {name} with these variables{passed}:", err=True)
            document(text, err=True)
        if not words:
            return None
        _run(words, values, "start", cancel, joining.timeout, report)
        return _LOOK_AT

    return start


def restarter(joining: JoinOptions, cancel: Cancel, report: Report = silent) -> Start | None:
    """Returns the hook that restarts the new member with --restart, or None without that option. Raises `ConfigError`."""
    words = _words(joining.restart_command, "--restart")
    if not words:
        return None

    def restart(name: str, _rows: Sequence[tuple[str, str]]) -> None:
        _run(words, {"ETCD_NAME": name}, "restart", cancel, joining.timeout, report)

    return restart


def _words(command: str | None, flag: str) -> list[str]:
    """Returns the words of a command; none when it is not given. Raises `ConfigError` when it names no program: a builtin of a
    shell, such as `exit`, is none."""
    if command is None:
        return []
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"{flag} {command!r} cannot be split into words: {error}", state="nothing was changed") from None
    program = words[0] if words else ""
    if not shutil.which(program, path=for_hooks(os.environ).get("PATH")):
        raise ConfigError(
            f"{flag}: {program!r} is no program that can be run",
            state="nothing was changed",
            advice=f"name a program or a script; {flag} is run without a shell, which would be: {flag} \"sh -c '…'\"",
        )
    return words


def _check_place(path: Path | None) -> None:
    """Raises `ConfigError` when no file can be written there. A pipe or standard output needs no folder for a new file."""
    if path is None:
        return
    from quorate.cli.common.named_files import is_stream

    if is_stream(path):
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        why = "it is a directory" if path.is_dir() else f"{folder} is not a directory that you can write to"
        raise ConfigError(f"--env-file {path} cannot be written: {why}", state="nothing was changed")


def _run(words: list[str], values: Mapping[str, str], which: str, cancel: Cancel, seconds: float, report: Report) -> None:
    """Runs the user's command with the user's environment, without the variables meant for us. Raises `HostError` when it
    fails or takes longer than `seconds`: the command starts a service and must return."""
    late = f"the {which} command has not returned after {_SLOW_SECONDS:g} s: it must not stay in the foreground"
    timer = threading.Timer(_SLOW_SECONDS, report, args=(Notice(late, "warning"),))
    timer.daemon = True
    timer.start()
    try:
        code = programs.run_visibly(words, {**for_hooks(os.environ), **values}, seconds=seconds, cancel=cancel)
    except HostError as error:
        advice = f"the {which} command must return: let it start a service, or run etcd in the background"
        raise HostError(f"the {which} command failed: {error.what}", advice=advice) from None
    finally:
        timer.cancel()
    if code != 0:
        advice = "its output is above; fix the cause, then run the same command again"
        raise HostError(f"the {which} command failed: {words[0]} exited with code {code}", advice=advice)
