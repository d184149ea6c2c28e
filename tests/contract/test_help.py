"""What every help has, that its examples work, and what is suggested for mistyped words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import nullcontext

import click
import pytest
from conftest import RunCli

from quorate import errors
from quorate.cli.common.commands import Command, Context, Group, ends_of
from quorate.cli.common.exit_codes import MEANING
from quorate.cli.common.go_flags import plain_flags
from quorate.cli.main import main, run_with
from quorate.phases.base.runner import check_skipped
from quorate.phases.init.tree import TREE as INIT
from quorate.phases.join.tree import TREE as JOIN
from quorate.phases.reset.tree import TREE as RESET


def everything(ctx: click.Context) -> Iterator[click.Context]:
    """Every command, hidden ones too, in its context."""
    yield ctx
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            command = ctx.command.get_command(ctx, name)
            assert command is not None
            yield from everything(Context(command, ctx, name))


ALL = list(everything(Context(main, None, "quorate", help_option_names=["-h", "--help"])))


def examples(text: str) -> list[str]:
    """The lines of the examples in a help, comments left out and long lines joined."""
    section = re.search(r"^ +Examples?:\n((?: {4,}.*\n)+)", text.replace("\\\n", ""), re.MULTILINE)
    lines = section[1].splitlines() if section else []
    return [line.strip() for line in lines if not line.strip().startswith("#")]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


@pytest.mark.parametrize("ctx", ALL, ids=lambda ctx: ctx.command_path)
def test_every_help_is_whole(ctx: click.Context) -> None:
    """An example, the exit codes, and each variable next to its flag; nothing is cut."""
    assert isinstance(ctx.command, Command), "made with quorate.cli.common.commands"
    text = ctx.get_help() + "\n"
    assert examples(text)
    rows = re.findall(r"^  (\d+) +(.+)$", text.partition("Exit codes:\n")[2], re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in rows] == [(code, MEANING[code]) for code in ends_of(ctx)]
    for param in ctx.command.get_params(ctx):
        if isinstance(param, click.Option) and param.envvar and not param.hidden:
            assert f"[env var: {param.envvar}" in text or f"env var: {param.envvar}" in text, param.name
    if isinstance(ctx.command, Group):
        assert "...\n" not in text.partition("Commands:\n")[2]


def run_up_to_the_callback(words: list[str]) -> None:
    """Parses a command line as click does, group by group, and calls nothing."""
    ctx = main.make_context("quorate", plain_flags(words), **main.context_settings)
    while isinstance(ctx.command, click.Group):
        left = [*ctx._protected_args, *ctx.args]
        if not left:
            assert ctx.command.invoke_without_command
            return
        name, command, left = ctx.command.resolve_command(ctx, left)
        assert command is not None
        ctx = command.make_context(name, left, parent=ctx)


def test_the_examples_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = 0
    for ctx in ALL:
        for line in examples(ctx.get_help() + "\n"):
            for part in re.findall(r"quorate [^|>;)]+", line):
                words = shlex.split(part, comments=True)[1:]
                with pytest.raises(click.exceptions.Exit) if "--help" in words else nullcontext():
                    run_up_to_the_callback(words)
                checked += 1
    assert checked > 130


def test_an_example_that_does_not_parse_is_found() -> None:
    for words in (["etcd", "ad", "x"], ["etcd", "add", "x", "--nonsense"], ["etcd", "status", "-o", "x"], ["local", "up", "x"]):
        with pytest.raises(click.UsageError):
            run_up_to_the_callback(words)


@pytest.mark.parametrize("columns", [40, 60, 100, 200])
def test_a_help_is_as_wide_as_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a word that has no room alone runs over."""
    monkeypatch.setenv("COLUMNS", str(columns))
    widest = 0
    for ctx in ALL:
        for line in ctx.get_help().splitlines():
            widest = max(widest, len(line))
            assert len(line) <= columns or len(line.removesuffix(" \\").split()) <= 2, line
    assert widest > columns * 0.9


@pytest.mark.parametrize(("name", "tree"), [("init", INIT), ("join", JOIN), ("reset", RESET)])
def test_the_help_of_a_run_lists_its_phases(name: str, tree: tuple[object, ...]) -> None:
    (ctx,) = [one for one in ALL if one.command_path == f"quorate {name}"]
    shown = ctx.get_help().partition("Phases, in this order:\n")[2].partition("\n\n")[0].split("\n")
    wanted = [phase for phase in tree if not getattr(phase, "hidden")]  # noqa: B009
    names = [(f"  {one.name}", [f"    /{child.name}" for child in one.children if not child.hidden]) for one in wanted]  # type: ignore[attr-defined]
    listed = [re.split(r"(?<=\S)\s{2,}", line)[0] for line in shown]
    assert listed == [name for one, children in names for name in (one, *children)]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("lcoal", "'local'"),
        ("joi", "'join'"),
        ("versoin", "'version'"),
        ("stauts", "'etcd status' or 'local status'"),
        ("members", "'etcd members' or 'local members'"),
        ("local upp", "'up'"),
        ("etcd member lst", "'list'"),
        ("etcd lst", "'member list'"),
        ("etcd autopilot", "'quorate autopilot'"),
        ("autopilot members", "'quorate etcd members' or 'quorate local members'"),
        ("etcd snapsho", "No such command 'snapsho'"),
        ("etcd status --endpoint 127.0.0.1:1", "Did you mean '--endpoints'?"),
        ("etcd members -w json", "'-o'"),
        ("etcd status --write-out json", "'--output'"),
        ("etcd -w json members", "Give it after the name of a command"),
        ("--endpoints 127.0.0.1:1 etcd status", "Give it after 'etcd'."),
        ("--members 3 local up", "Give it after 'local up'."),
        ("completion", "Choose from: bash, zsh, fish"),
        ("config images list kubeadm.yaml", "Give a file with --config FILE."),
        ("config migrate kubeadm.yaml", "Give a file with --old-config FILE."),
        ("certs renew etcd-server etcd-peer", "Give one name, or all."),
        ("init phase certs ca apiserver etcd-peer", "Give one name, or all."),
        ("certs renew etcd-server x.yaml", "Give a file with --config FILE."),
        ("reset -y", "Did you mean '--force'?"),
        ("etcd member rm m1", "Did you mean 'remove'?"),
        ("etcd remov m1", "Did you mean 'remove'?"),
        ("etcd rescue", "'quorate etcd recover DIR' makes a new cluster of what a survivor has"),
        ("recovery", "'quorate etcd restore' of a backup"),
        ("reset phase cleanup", "Did you mean 'cleanup-node'?"),
        ("init phase crts", "'certs'"),
        ("local up --membrs 3", "'--members'"),
        ("init --dry-rnu", "'--dry-run'"),
        ("etcd status -o jsn", "'json'"),
        ("help etcd ad", "'add'"),
        ("init --skip-phases=cert --config /dev/null/x", "cannot read"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(words: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(words.split()) == errors.ConfigError.exit_code
    told = capsys.readouterr().err
    assert meant in told
    if "cannot" not in meant:
        assert re.search(r"next: quorate.* --help", told)


@pytest.mark.parametrize("words", ["etcd drain", "version --client", "--nope", "etcd status --no-debu", "etcd status --nope"])
def test_nothing_is_suggested_that_is_not_close_or_is_hidden(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(words.split()) == errors.ConfigError.exit_code
    assert "Did you mean" not in capsys.readouterr().err


def test_a_flag_behind_the_endpoint_of_join_leads_to_a_help_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["join", "lb.example.org:6443", "--oops"]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == " next: quorate join --help"


def test_the_help_of_all_names_no_phase_that_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["join", "phase", "control-plane-join", "all", "--help"]) == 0
    assert "Run all of these, in order: etcd, mark-control-plane." in capsys.readouterr().out


def test_a_mistyped_phase_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    line = "init --skip-phases=cert,addon/corends --apiserver-advertise-address 10.0.0.1 --kubernetes-version v1.34.4 --dry-run"
    assert run_with(line.split()) == 3
    assert "did you mean certs or addon/coredns?" in capsys.readouterr().err


def test_an_older_name_of_a_phase_is_offered_to_nobody() -> None:
    """`--skip-phases=cleanup` was answered with cleanupnode, which no help has."""
    for typed, wanted in (
        ("cleanup", "did you mean cleanup-node?"),
        ("x", "phases are: preflight, remove-etcd-member, cleanup-node"),
    ):
        with pytest.raises(errors.ConfigError) as refused:
            check_skipped(RESET, [typed])
        assert refused.value.advice == wanted
    check_skipped(RESET, ["cleanupnode"])


@pytest.mark.parametrize("words", [["help"], ["help", "etcd", "add"], ["help", "init", "phase", "certs", "ca"]])
def test_help_is_the_help_of_the_command(words: list[str], cli: RunCli) -> None:
    assert cli(*words).stdout == cli(*words[1:], "--help").stdout


def test_help_of_what_has_no_commands_says_so(cli: RunCli) -> None:
    done = cli("help", "etcd", "status", "now")
    assert done.returncode == 3 and "quorate etcd status has no commands: leave out now" in done.stderr


def test_every_exit_code_of_an_error_has_a_meaning() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.QuorateError)]
    assert {0, *(kind.exit_code for kind in kinds)} == set(MEANING)


@pytest.mark.parametrize("words", [["etcd", "help", "add"], ["help", "etcd", "add"], ["etcd", "add", "--help"]])
def test_help_may_stand_anywhere(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(words) == 0
    assert capsys.readouterr().out.startswith("Usage: quorate etcd add [OPTIONS] NAME")
