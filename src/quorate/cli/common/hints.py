"""What a wrong command line was probably meant to be, where the words are not close to the right ones."""

from __future__ import annotations

from collections.abc import Sequence

import click

from quorate.core.suggestions import close, likeness
from quorate.errors import UsageProblem
from quorate.foreign.text import to_paste

TWINS = {
    "-w": "-o",
    "--write-out": "--output",
    "-o": "-w",
    "--output": "--write-out",
    "-y": "--force",
    "--yes": "--force",
}
"""Options that other programs, or other commands of ours, have for the same: etcdctl's letter for the format where the output
is etcdctl's, and kubeadm's elsewhere."""

_FORMATS = ("-w", "--write-out", "-o", "--output")
_SAME = {"rm": "remove", "del": "remove", "delete": "remove", "ls": "list"}
"""Commands by the names that other programs have for them."""

_FILES = ("--config", "--old-config")


def of_option(command: click.Command, error: click.NoSuchOption, words: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the sentence that says where to give the option, and the options that were probably meant."""
    twin = TWINS.get(error.option_name, "")
    if any(twin in param.opts for param in command.params):
        return "", [twin]
    owner = _owner(command, error, words)
    if owner:
        return f" Give it after '{owner}'.", []
    if isinstance(command, click.Group) and error.option_name in _FORMATS:
        return " Give it after the name of a command.", []
    return "", _close(command, error)


def _close(command: click.Command, error: click.NoSuchOption) -> list[str]:
    """Returns the options that are close to the one given, among those that the help shows. click's own suggestions have hidden
    ones, and count the dashes, which all options share: `--client` was taken for `--quiet`."""
    ctx = error.ctx or click.Context(command)
    shown = [one for one in command.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]
    names = {name.lstrip("-"): name for one in shown for name in (*one.opts, *one.secondary_opts) if name.startswith("--")}
    return [names[name] for name in close(error.option_name.lstrip("-"), names)]


def _owner(command: click.Command, error: click.NoSuchOption, words: Sequence[str]) -> str:
    """Returns the commands among `words` down to the first that has the option; empty when none has it."""
    ctx, way = error.ctx or click.Context(command), list[str]()
    for word in words:
        found = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if found is None:
            continue
        command = found
        way.append(word)
        if any(error.option_name in (*param.opts, *param.secondary_opts) for param in command.get_params(ctx)):
            return " ".join(way)
    return ""


_HARMFUL = frozenset({"down", "leave", "prune", "remove", "replace", "reset", "unlock"})
_CLOSE_ENOUGH = 0.8
_REPAIRS = frozenset({"disaster", "heal", "recover", "recovery", "repair", "rescue", "salvage"})
_HOW_TO_REPAIR = (
    " 'quorate etcd recover DIR' makes a new cluster of what a survivor has ('quorate recover' on a control-plane node), "
    "'quorate etcd restore' of a backup; "
    "copy what is left before anything else: docs/recovery.md."
)


def of_repair(name: str) -> str:
    """Returns the sentence for what people type when a quorum is lost; empty for other words."""
    return _HOW_TO_REPAIR if name in _REPAIRS else ""


def close_commands(name: str, known: Sequence[str]) -> list[str]:
    """Returns the commands that are close to the word. Those that take something away have to be closer: `recover` was taken
    for `remove`."""
    return [
        one
        for one in close(name, known)
        if one.rpartition(" ")[2] not in _HARMFUL or likeness(name, one.rpartition(" ")[2]) >= _CLOSE_ENOUGH
    ]


def of_name(name: str) -> str:
    """Returns our name of a command that other programs call `name`; otherwise `name` itself."""
    return _SAME.get(name, name)


def of_local_folder(ctx: click.Context, error: click.NoSuchOption, words: Sequence[str]) -> UsageProblem | None:
    """Returns the answer to --dir of a local cluster, where a command of `quorate etcd` has no such option."""
    group, *names = ctx.command_path.split()[1:] or [""]
    if group != "etcd" or error.option_name != "--dir":
        return None
    from quorate.cli.common.foreign_commands import without_option, without_secrets

    rest, folder = without_option(words, "--dir")
    variables = to_paste("quorate", "local", "env", "--dir", folder or "DIR")
    command = to_paste("quorate", "etcd", *names, *without_secrets(rest))
    return UsageProblem(
        f"'{ctx.command_path}' has no option --dir: it finds a local cluster by the variables that 'quorate local env' sets",
        state="nothing was changed",
        advice=f'eval "$({variables})"; {command}',
    )


def is_of_words_left(error: click.UsageError) -> bool:
    """Returns whether the error is about words that a command does not take."""
    return error.message.startswith("Got unexpected extra argument")


def of_words_left(command: click.Command, error: click.UsageError) -> str:
    """Returns the sentence for words that a command does not take: files are given with an option, as in kubeadm, and of
    commands that stand for one thing each, such as a certificate, only one."""
    if not is_of_words_left(error) or isinstance(command, click.Group):
        return ""
    if any(isinstance(param, click.Argument) for param in command.params):
        return ""
    words = error.message.partition("(")[2].rstrip(".)").split()
    names = _siblings(error)
    meant = _below_the_singular(command, error, words)
    if meant:
        return f". Did you mean '{meant}'?"
    if "all" in names and words and names.issuperset(words):
        return ". Give one name, or all."
    flag = next((flag for flag in _FILES if any(flag in param.opts for param in command.params)), "")
    return f". Give a file with {flag} FILE." if flag else ""


def _below_the_singular(command: click.Command, error: click.UsageError, words: Sequence[str]) -> str:
    """Returns the command that was meant where a list is named as the group of commands for one row is: 'members list'."""
    parent, name = error.ctx.parent if error.ctx else None, (command.name or "").removesuffix("s")
    if parent is None or not isinstance(parent.command, click.Group) or name == command.name or not words:
        return ""
    group = parent.command.get_command(parent, name)
    known = isinstance(group, click.Group) and group.get_command(parent, words[0]) is not None
    return f"{parent.command_path} {name} {words[0]}" if known else ""


def _siblings(error: click.UsageError) -> set[str]:
    """Returns the names of the commands next to the one that was called."""
    parent = error.ctx.parent if error.ctx else None
    return set(parent.command.list_commands(parent)) if parent and isinstance(parent.command, click.Group) else set()
