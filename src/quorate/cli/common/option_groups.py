"""Passes options that belong together to their command as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from quorate.errors import UsageProblem

Command = Callable[..., Any]


def given_flags(*kinds: type[Any]) -> list[str]:
    """Returns the flags of these groups that the running command has on its command line, such as --key-file."""
    ctx = click.get_current_context()
    names = {field.name for kind in kinds for field in fields(kind)}
    return [
        param.opts[0]
        for param in ctx.command.params
        if param.name in names and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    ]


def packed(kind: type[Any], name: str, options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Returns a decorator that adds `options` to a command and passes their values as one `kind` in the parameter `name`.
    `kind` is a dataclass with one field per option, of the same name."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(**given: Any) -> Any:
            value = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            return command(**given, **{name: value})

        decorated: Command = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def refuse_seat_of_a_voter() -> NoReturn:
    """Raises `UsageProblem` for --occupy-the-seat without --standby: whoever gave it takes the member for a standby."""
    raise UsageProblem(
        "--occupy-the-seat is for a standby: a member that gets its vote leaves the seat",
        state="nothing was changed",
        advice="add --standby, or leave it out",
    )
