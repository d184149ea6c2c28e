"""The command tree. Errors go to stderr, and each error class has its exit code."""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import click

from quorate import __version__
from quorate.cli.common import logs
from quorate.cli.common.commands import Group, group, help_of
from quorate.cli.common.completion import VARIABLE, matching
from quorate.cli.common.exit_codes import PRINTS
from quorate.cli.common.go_flags import plain_flags
from quorate.cli.common.output import (
    API_VERSION,
    Printed,
    StdoutClosed,
    as_json,
    document,
    echo,
    end_stdout,
    enveloped,
    escape_what_cannot_be_shown,
    last_words,
    open_what_is_closed,
    styled,
)
from quorate.errors import ConfigError, HostError, Interrupted, QuorateError, Refused, Unforeseen, UsageProblem, foreseen
from quorate.foreign.text import OUR_FLAGS, to_paste
from quorate.spelling import for_the_command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.cli.common.completion import Items

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_GROUPS = {
    "certs": ("quorate.cli.kubeadm.certs", "group", "Show, renew and request the certificates of a control plane."),
    "config": (
        "quorate.cli.kubeadm.config",
        "group",
        "Print, check, explain and convert kubeadm configuration files; list images.",
    ),
    "doctor": ("quorate.cli.kubeadm.doctor", "group", "Check this node and its cluster; report problems and their fixes."),
    "init": ("quorate.cli.kubeadm.init", "group", "Make this host the first node of a control plane."),
    "join": ("quorate.cli.kubeadm.join", "group", "Join this host to a cluster, as a worker or a control-plane node."),
    "kubeconfig": ("quorate.cli.kubeadm.kubeconfig", "group", "Make kubeconfig files for users."),
    "recover": (
        "quorate.cli.kubeadm.recover",
        "recover",
        "Make the control plane anew from this node, when a majority of its etcd members is lost.",
    ),
    "rejoin": (
        "quorate.cli.kubeadm.rejoin",
        "rejoin",
        "Join this control-plane node to the cluster that 'quorate recover' has made on another one.",
    ),
    "reset": ("quorate.cli.kubeadm.reset", "group", "Roll back what init or join made on this host."),
    "token": ("quorate.cli.kubeadm.token", "group", "Manage the bootstrap tokens that nodes join with."),
    "autopilot": (
        "quorate.cli.autopilot.group",
        "group",
        "Keep an etcd cluster at its size: learners that are aligned get a vote, a lost voter is replaced by a standby.",
    ),
    "local": ("quorate.cli.local.group", "group", "Run a real etcd cluster on this machine; new members join as learners."),
    "etcd": ("quorate.cli.etcd.group", "group", "Inspect any etcd cluster and change its members safely."),
}


def _foreign(_ctx: click.Context, words: Sequence[str]) -> QuorateError | None:
    """Returns the answer to a command of etcdctl, or of kubeadm's past, at the top of the tree."""
    from quorate.cli.common.foreign_commands import below_etcd, of_program, once_in_kubeadm

    return of_program(words) or once_in_kubeadm(words) or below_etcd(words)


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        echo(f"quorate {__version__}")
        ctx.exit()


@group(
    later=_GROUPS,
    foreign=_foreign,
    hands_down=("debug",),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version and exit."
)
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of an unexpected error.")
def main() -> None:
    """Grow etcd clusters and Kubernetes control planes without ever putting the quorum at risk.

    A new member joins as a learner. It gets the data, and gets its vote only once it is fully aligned.

    \b
    Examples:
      quorate local up --members 3          # a three-member etcd on this machine
      quorate local status                  # the members, the leader, and how many may fail
      quorate etcd member list              # as etcdctl prints it
      quorate help etcd add                 # the help of a command
    """


def _commands_below(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Completes the words of a command."""
    shown: click.Command | None = main
    for name in ctx.params.get("words") or ():
        shown = shown.get_command(ctx, name) if isinstance(shown, click.Group) else None
    return matching(dict(shown.rows(ctx)), incomplete) if isinstance(shown, Group) else []


@main.command("help", ends=PRINTS)
@click.argument("words", nargs=-1, metavar="[COMMAND]...", shell_complete=_commands_below)
@click.pass_context
def print_help(ctx: click.Context, /, words: tuple[str, ...]) -> None:
    """Print the help of a command.

    \b
    Examples:
      quorate help
      quorate help etcd add
    """
    document(help_of(ctx.find_root(), words))


@main.command("version", ends=PRINTS)
@click.option("-o", "--output", "form", type=click.Choice(["short", "json", "yaml"]), help="Output format.")
def print_version(form: str | None) -> None:
    """Print the version.

    \b
    Example:
      quorate version -o short
    """
    import platform

    python, host = platform.python_version(), os.uname()
    fields = {"version": __version__, "python": python, "platform": f"{host.sysname.lower()}/{host.machine}"}
    match form:
        case "json":
            document(as_json(enveloped("Version", {"clientVersion": fields})) + "\n")
        case "yaml":
            rows = "".join(f"  {name}: {value}\n" for name, value in fields.items())
            document(f"apiVersion: {API_VERSION}\nkind: Version\nclientVersion:\n{rows}")
        case "short":
            echo(__version__)
        case _:
            echo(f"quorate version: {__version__}")


@main.command(ends=(4,), context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.pass_context
def upgrade(ctx: click.Context, /) -> None:
    """Upgrade a control plane: not implemented yet.

    \b
    Examples:
      kubeadm upgrade plan      # on nodes made by either tool
      quorate upgrade plan      # says so
    """
    from quorate.cli.common.foreign_commands import without_secrets

    command = to_paste("kubeadm", "upgrade", *without_secrets(ctx.args or ["plan"]))
    raise Refused(
        "quorate does not upgrade control planes yet",
        state="nothing was changed",
        advice=f"{command}    # also for nodes that quorate made",
    )


@main.command(ends=PRINTS)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    It completes commands, options and their values, files, phases, and the names of members.

    \b
    Examples:
      eval "$(quorate completion bash)"                                        # in ~/.bashrc
      source <(quorate completion zsh)                                         # in ~/.zshrc, after compinit
      quorate completion fish > ~/.config/fish/completions/quorate.fish
    """
    from quorate.cli.common.shells import script

    document(script(main, shell) + "\n")


def run_process() -> int:
    """Runs the command line of this process, and returns its exit code."""
    # Almost all objects that start-up makes stay. To look for cycles among them takes a tenth of the time of a short command,
    # and the last collection, at exit, takes as long again.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    open_what_is_closed()
    escape_what_cannot_be_shown()
    asked = os.environ.get(VARIABLE)
    if asked:
        from quorate.cli.common.shells import answer

        answer(main, asked)
    code = run_with(sys.argv[1:])
    gc.freeze()
    return code


def interrupted(arguments: list[str]) -> int:
    """Prints that the command was interrupted, for a Ctrl-C that came before or after `run_with`; returns the exit code."""
    Printed.form = _wanted_form(arguments)
    return _fail(Interrupted("interrupted"), arguments)


def run_with(arguments: list[str]) -> int:
    """Runs one command line. Prints its error, if any, and returns the exit code."""
    Printed.shape, Printed.form = "nothing", _wanted_form(arguments)
    Printed.to_the_end, Printed.lost = False, None
    before = OUR_FLAGS.set(())
    try:
        with logs.session(), for_the_command_line():
            return _ended(arguments)
    finally:
        OUR_FLAGS.reset(before)


def _ended(arguments: list[str]) -> int:
    """Runs the command line, and returns its exit code."""
    result: object = 0
    try:
        with suppress(StdoutClosed):
            result = main.main(plain_flags(arguments), prog_name="quorate", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        document(error.ctx.get_help() + "\n" if error.ctx else "", err=True)
        return ConfigError.exit_code
    except click.ClickException as error:
        return _fail(_usage_problem(error), arguments)
    except click.Abort:
        return _fail(Interrupted("interrupted"), arguments)
    except (Exception, KeyboardInterrupt) as error:
        return _fail(foreseen(error), arguments)
    if Printed.lost is not None:
        return _fail(Printed.lost, arguments)
    # Outside standalone mode click returns the code of `ctx.exit`.
    return result if isinstance(result, int) else 0


def _usage_problem(error: click.ClickException) -> UsageProblem:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    # click lists the values of an argument in a column of its own.
    return UsageProblem(error.format_message().replace("\n\t", " "), advice=f"{ctx.command_path} --help" if ctx else "")


def _fail(failure: QuorateError, arguments: list[str]) -> int:
    """Prints what failed; returns the exit code, which no stream that takes no write may change."""
    from quorate.loggers import logger

    if isinstance(failure, HostError) and os.strerror(errno.EACCES) in failure.what and os.geteuid() != 0:
        # "Fix the file" would lead to a chmod of what only root may read.
        failure.advice = failure.own_advice or "run the same command as root"
    logger(__name__).error("%s", failure.what, extra={"fields": failure.as_dict()})
    if isinstance(failure, Unforeseen):
        from quorate.cli.common import unforeseen

        kept = unforeseen.keep(failure, shown="--debug" in arguments)
        failure.advice = f"{failure.advice}; {kept}"
    with suppress(OSError):
        if Printed.form == "text":
            _print_for_people(failure)
        else:
            echo(as_json(enveloped("Error", {"error": failure.as_dict()})), err=True)
    end_stdout(last_words(failure.as_dict()) if Printed.form != "text" else "")
    return failure.exit_code


def _wanted_form(arguments: list[str]) -> Literal["text", "json", "yaml"]:
    """Returns what the arguments say after -o, in any spelling. Does not use click, whose parser may be what failed."""
    pairs = pairwise([*arguments, ""])
    given = [value for flag, value in pairs if flag in ("-o", "--output")]
    given += [one.partition("=")[2] for one in arguments if one.startswith(("-o=", "--output="))]
    given += [one.removeprefix("-o") for one in arguments if one.startswith("-o") and not one.startswith("-o=")]
    return "json" if "json" in given else "yaml" if "yaml" in given else "text"


def _print_for_people(error: QuorateError) -> None:
    if isinstance(error, Interrupted) and not error.state:
        echo(error.what, err=True)
        return
    first, *more = error.lines() or [""]
    echo(styled("error:", fg="red", bold=True), f" {first}", err=True)
    for line in more:
        echo(f"       {line}", err=True)
    for label, text in (("now:", error.state), ("next:", error.advice)):
        if text:
            echo(f"{label:>6} {text}", err=True)
