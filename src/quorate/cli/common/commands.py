"""The classes of all commands and groups. What every command has is here, once: suggestions for mistyped words, sections of the
help that follow from what the command is, and options for logs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from quorate.cli.common import logs
from quorate.cli.common.completion import matching
from quorate.cli.common.exit_codes import CHANGES, MEANING, Ends
from quorate.cli.common.output import document
from quorate.core.suggestions import close, did_you_mean
from quorate.errors import QuorateError

if TYPE_CHECKING:
    from quorate.cli.common.completion import Items

Callback = TypeVar("Callback", bound=Callable[..., Any])
Foreign = Callable[[click.Context, Sequence[str]], QuorateError | None]
_MOST_SHORT_HELP = 1000


class Context(click.Context):
    def make_formatter(self) -> click.HelpFormatter:
        from quorate.cli.common.help_format import Formatter

        return Formatter(width=self.terminal_width, max_width=self.max_content_width)


class _Choice(click.Choice[str]):
    """A choice that names the closest value when another one was given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(super().convert(value, param, ctx))
        except click.BadParameter as error:
            self.fail(_asking(error.message, close(str(value), map(str, self.choices))), param, ctx)


def _asking(problem: str, found: Iterable[str]) -> str:
    question = did_you_mean([f"'{one}'" for one in found])
    return f"{problem} {question.capitalize()}" if question else problem


def _prepared(param: click.Parameter) -> click.Parameter:
    """Gives a parameter what every one has: its variable in the help, and suggestions where it has choices."""
    if isinstance(param, click.Option):
        param.show_envvar = param.envvar is not None
    if type(param.type) is click.Choice:
        param.type = _Choice(param.type.choices, case_sensitive=param.type.case_sensitive)
    return param


def _show_help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Prints the help by the one way out: click's own would make a traceback of a full disk."""
    if value and not ctx.resilient_parsing:
        document(ctx.get_help() + "\n")
        ctx.exit()


class Command(click.Command):
    """A command. `ends`: the exit codes that it can end with, else those of its group. `variables`: what it reads from the
    environment without a flag for it, in addition to those of its groups. `foreign`: returns the error for words that it does
    not take and another program's command of that name does, else None."""

    context_class = Context

    def __init__(
        self,
        *args: Any,
        ends: Ends | None = None,
        variables: Mapping[str, str] | None = None,
        foreign: Foreign | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.foreign = foreign
        self.ends = ends
        self.variables = variables or {}
        self.params = [_prepared(param) for param in self.params]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from quorate.cli.common import hints

            where, meant = hints.of_option(self, error, words)
            problem = None if where or meant else hints.of_local_folder(ctx, error, words) or self._of_another(ctx, words)
            raise problem or click.UsageError(_asking(f"{error.message}{where}", meant), error.ctx) from None
        except click.UsageError as error:
            from quorate.cli.common import hints

            problem = self._of_another(ctx, words) if hints.is_of_words_left(error) else None
            if problem is not None:
                raise problem from None
            hint = hints.of_words_left(self, error)
            if not hint:
                raise
            raise click.UsageError(f"{error.message}{hint}", error.ctx) from None

    def _of_another(self, ctx: click.Context, words: Sequence[str]) -> QuorateError | None:
        """Returns the error for words that are another program's. A group asks where it looks for a command."""
        return self.foreign(ctx, words) if self.foreign is not None and not isinstance(self, click.Group) else None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *logs.OPTIONS]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.invoked_subcommand is None:
            # A group calls this before its command has read the options that follow its name.
            logs.begin(ctx.command_path)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [one for one in self.get_params(ctx) if not isinstance(one, logs.LogOption)]
        self._write_options("Options", own, ctx, formatter)

    @staticmethod
    def _write_options(
        title: str, params: Sequence[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        rows = [one.get_help_record(ctx) for one in params if isinstance(one, click.Option)]
        with formatter.section(title):
            formatter.write_dl([row for row in rows if row is not None])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        self._write_options("Logs", logs.OPTIONS, ctx, formatter)
        variables = _variables_of(ctx)
        if variables:
            with formatter.section("Environment"):
                formatter.write_dl(sorted(variables.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), MEANING[code]) for code in ends_of(ctx)])


def _way(ctx: click.Context | None) -> list[Command]:
    """Returns the running command and the groups above it, the command first."""
    found: list[Command] = []
    while ctx is not None:
        if isinstance(ctx.command, Command):
            found.append(ctx.command)
        ctx = ctx.parent
    return found


def ends_of(ctx: click.Context | None) -> Ends:
    """Returns the exit codes that a command can end with: its own, or those of the nearest group that names some."""
    return next((one.ends for one in _way(ctx) if one.ends is not None), CHANGES)


def _variables_of(ctx: click.Context) -> dict[str, str]:
    return {name: text for one in reversed(_way(ctx)) for name, text in one.variables.items()}


Later: TypeAlias = tuple[str, str, str]
"""A command that is imported when it is called: its module, its name there, and its short help, which lists show without it."""


class Group(click.Group, Command):
    """A group of such commands. `foreign`: returns the error for words that are another program's command, else None. `later`:
    commands that are imported when they are called; what the others of the group need then costs one of them nothing.
    `hands_down`: its parameters that its commands use too, where they are given before the command. All others are its own, for
    a run without a command, and are refused before one: `reset --dry-run phase cleanup-node` deleted, and `--rootfs` and
    `--config` were not read."""

    command_class = Command
    group_class = type

    def __init__(
        self,
        *args: Any,
        foreign: Foreign | None = None,
        later: Mapping[str, Later] | None = None,
        hands_down: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, foreign=foreign, **kwargs)
        self.later = later or {}
        self.hands_down = hands_down

    def _refuse_options_before(self, ctx: click.Context, words: Sequence[str]) -> None:
        own = [one for one in self.params if one.name not in self.hands_down]
        given = [one.opts[0] for one in own if ctx.get_parameter_source(str(one.name)) is ParameterSource.COMMANDLINE]
        if given:
            way = " ".join(self._names_in(ctx, words))
            raise click.UsageError(f"{', '.join(given)} before '{words[0]}' is not read. Give it after '{way}'.", ctx)

    def _names_in(self, ctx: click.Context, words: Sequence[str]) -> list[str]:
        """Returns the names of commands, one below the other, with which `words` begin."""
        found, below = [words[0]], self.get_command(ctx, words[0])
        for word in words[1:]:
            below = below.get_command(ctx, word) if isinstance(below, click.Group) else None
            if below is None:
                break
            found.append(word)
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.later:
            module, name, _ = self.later[cmd_name]
            made: click.Command = getattr(importlib.import_module(module), name)
            return made
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            if name == "help":
                # As `--help`, which may stand anywhere: only the top of the tree lists a command of that name.
                document(help_of(ctx, [word for word in args[1:] if not word.startswith("-")]))
                ctx.exit()
            problem = self.foreign(ctx, args) if self.foreign is not None else None
            if problem is not None:
                raise problem
            raise click.UsageError(self._no_such(ctx, name), ctx)
        if not ctx.resilient_parsing:
            self._refuse_options_before(ctx, args)
        return super().resolve_command(ctx, args)

    def _no_such(self, ctx: click.Context, name: str) -> str:
        from quorate.cli.common import hints

        problem, shown = f"No such command {name!r}.", [one for one, _ in self.rows(ctx)]
        if repair := hints.of_repair(name):
            return problem + repair
        same = hints.of_name(name)
        near = hints.close_commands(name, shown)
        return _asking(problem, [same] if same in shown else near or self._below(ctx, name) or _elsewhere(ctx, name))

    def _below(self, ctx: click.Context, name: str) -> list[str]:
        """Returns the commands of the groups of this one that are called like `name`: 'status' may be 'etcd status'."""
        known: dict[str, list[str]] = {}
        for group_name in self.list_commands(ctx):
            group = self.get_command(ctx, group_name)
            for below, _ in group.rows(ctx) if isinstance(group, Group) else ():
                known.setdefault(below, []).append(f"{group_name} {below}")
        from quorate.cli.common.hints import close_commands

        return [way for found in close_commands(name, list(known)) for way in known[found]]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> Items:
        # click would import every command for its help.
        return [*matching(dict(self.rows(ctx)), incomplete), *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = self.rows(ctx)
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def rows(self, ctx: click.Context) -> Sequence[tuple[str, str]]:
        """Returns each command that is shown, with the first sentence of its help."""
        now = [name for name in self.list_commands(ctx) if name not in self.later]
        found = [(name, self.get_command(ctx, name)) for name in now]
        rows = [(name, one.get_short_help_str(_MOST_SHORT_HELP)) for name, one in found if one is not None and not one.hidden]
        return sorted([*rows, *((name, text) for name, (_, _, text) in self.later.items())])


def _elsewhere(ctx: click.Context, name: str) -> list[str]:
    """Returns the commands that are called `name` elsewhere in the tree, as they are typed: 'etcd autopilot' may be
    'quorate autopilot'."""
    top = ctx.find_root()
    if ctx is top or not isinstance(top.command, Group):
        return []
    at_top = [name] if name in top.command.list_commands(top) else top.command._below(top, name)
    return [f"{top.command_path} {way}" for way in at_top]


def help_of(shown: click.Context, words: Sequence[str]) -> str:
    """Returns the help of the command that `words` name below the one of `shown`."""
    left = list(words)
    while left:
        if not isinstance(shown.command, click.Group):
            raise click.UsageError(f"{shown.command_path} has no commands: leave out {' '.join(left)}", shown)
        name, found, left = shown.command.resolve_command(shown, left)
        assert found is not None
        shown = Context(found, shown, name)
    return shown.get_help() + "\n"


def command(name: str | None = None, **settings: Any) -> Callable[[Callback], Command]:
    """Returns a decorator as `click.command`, for a command that a group gets later."""
    return click.command(name, cls=Command, **settings)


def group(name: str | None = None, **settings: Any) -> Callable[[Callback], Group]:
    """Returns a decorator as `click.group`, for a group at the top of the tree or one that another group gets later."""
    kind = settings.pop("cls", Group)
    return click.group(name, cls=kind, **settings)
