"""An option before the name of a command counts, or is refused. It was dropped without a word: `reset --dry-run phase …`
deleted, and a variable chose the cluster instead of `--endpoints`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from quorate.cli.common.commands import Group
from quorate.cli.main import main, run_with
from quorate.errors import Refused
from quorate.foreign.text import to_paste

DEAD, OTHER, THIRD = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"


def groups(ctx: click.Context) -> Iterator[tuple[list[str], Group]]:
    """Yields every group of the command line, with the words that lead to it."""
    if isinstance(ctx.command, Group):
        yield ctx.command_path.split()[1:], ctx.command
        for name in ctx.command.list_commands(ctx):
            below = ctx.command.get_command(ctx, name)
            assert below is not None
            yield from groups(click.Context(below, ctx, info_name=name))


def own_options() -> Iterator[tuple[list[str], str, str]]:
    """Yields each option that only its group uses, as words of a command line, its spelling, and a command of that group."""
    for way, group in groups(click.Context(main, info_name="quorate")):
        name = group.list_commands(click.Context(group))[-1]
        for param in group.params:
            is_own = isinstance(param, click.Option) and param.name not in (*group.hands_down, "version")
            if is_own and isinstance(param, click.Option):
                value = [] if param.is_flag else ["1" if param.type is click.INT else "json"]
                yield [*way, param.opts[0], *value, name], param.opts[0], name


ROWS = list(own_options())


def test_there_are_such_options() -> None:
    assert {("reset", "--dry-run"), ("init", "--rootfs"), ("join", "--config")} <= {(row[0][0], row[1]) for row in ROWS}


@pytest.mark.parametrize(("words", "option", "name"), ROWS, ids=[" ".join(row[0]) for row in ROWS])
def test_what_the_command_would_not_read_is_refused(
    words: list[str], option: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(words) == 3
    assert f"{option} before '{name}' is not read. Give it after '{name}'" in capsys.readouterr().err


def below_rootfs() -> Iterator[list[str]]:
    """Yields each group whose commands have --rootfs and that is no run of its own, as words of a command line."""
    for way, group in groups(click.Context(main, info_name="quorate")):
        ctx = click.Context(group)
        commands = [found for name in group.list_commands(ctx) if (found := group.get_command(ctx, name))]
        has = ["--rootfs" in [flag for param in one.params for flag in param.opts] for one in commands]
        if way and way[0] not in ("etcd", "local") and way not in (["init"], ["join"], ["reset"]) and any(has):
            yield way


@pytest.mark.parametrize("way", list(below_rootfs()), ids=" ".join)
def test_every_group_of_commands_of_a_node_hands_its_directory_down(way: list[str]) -> None:
    """`config` and `token` took it, `certs` and `certs renew` had no such option."""
    group: click.Command = main
    for word in way:
        assert isinstance(group, Group)
        found = group.get_command(click.Context(group), word)
        assert found is not None
        group = found
    assert isinstance(group, Group) and "rootfs" in group.hands_down
    assert any("--rootfs" in param.opts for param in group.params)


@pytest.mark.parametrize(
    "words",
    [
        "certs R renew apiserver",
        "certs renew R apiserver",
        "certs renew apiserver R",
        "certs N renew R apiserver",
        "certs N renew apiserver R",
    ],
)
def test_a_directory_before_the_command_is_read(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that is nearest to the command counts."""
    named = {"R": tmp_path / "root", "N": tmp_path / "none"}
    for folder in named.values():
        folder.mkdir()
    given = [part for word in words.split() for part in (("--rootfs", str(named[word])) if word in named else (word,))]
    assert run_with(given) == 2
    assert f"quorate certs check-expiration --rootfs {named['R']}    #" in capsys.readouterr().err


def test_a_directory_before_a_phase_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["init", "phase", "--rootfs", str(tmp_path), "kubeconfig", "admin"]) == 2
    assert f"quorate init phase certs ca --rootfs {tmp_path}\n" in capsys.readouterr().err


def test_a_dry_run_before_a_phase_deletes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "etc/kubernetes/admin.conf"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    assert run_with(["reset", "--dry-run", "phase", "cleanup-node", "--rootfs", str(tmp_path)]) == 3
    assert kept.read_text() == "kept" and "after 'phase cleanup-node'" in capsys.readouterr().err


def test_flags_stand_on_both_sides_of_an_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["join", "--token", "x", "192.0.2.1:6443", "--rootfs", str(tmp_path)]) == 3
    assert "bootstrap token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--endpoints", DEAD, "members"], DEAD),
        (["members", "--endpoints", DEAD], DEAD),
        (["member", "--endpoints", DEAD, "list"], DEAD),
        (["--endpoints", DEAD, "member", "list"], DEAD),
        (["members"], OTHER),
        (["members", "--endpoints", DEAD, "--endpoints", THIRD], f"{DEAD}, {THIRD}"),
        (["--endpoints", DEAD, "members", "--endpoints", THIRD], f"{DEAD}, {THIRD}"),
    ],
)
def test_the_command_line_counts_before_a_variable_wherever_it_stands(
    words: list[str], asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A member of the variable's cluster was removed, where the flag named another one."""
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", OTHER)
    assert run_with(["etcd", *words]) == 1
    assert f"{asked}: connection refused" in capsys.readouterr().err


def test_the_user_and_the_files_of_the_command_line_count_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ETCDCTL_CACERT", "/variable/ca.crt")
    assert run_with(["etcd", "--endpoints", DEAD, "--cacert", "/flag/ca.crt", "members"]) == 3
    assert "/flag/ca.crt" in capsys.readouterr().err
    monkeypatch.setenv("ETCDCTL_USER", "variable")
    monkeypatch.delenv("ETCDCTL_CACERT")
    assert run_with(["etcd", "--endpoints", DEAD, "--user", "flag", "members"]) == 3
    assert "no password for flag" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("user", "variables"),
    [
        (["--user=root"], {"ETCDCTL_PASSWORD": "wrong"}),
        ([], {"ETCDCTL_USER": "root:wrong"}),
        (["--user=root"], {"ETCDCTL_PASSWORD_FILE": "/wrong"}),
    ],
    ids=str,
)
def test_a_password_file_of_the_command_line_is_used_or_is_an_error(
    user: list[str],
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A variable of an earlier session replaced it, and a file that does not exist was no error."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run_with(["etcd", "members", "--endpoints", DEAD, *user, f"--password-file={tmp_path}/none"]) == 3
    assert f"cannot read {tmp_path}/none" in capsys.readouterr().err
    (tmp_path / "good").write_text("good\n")
    used: list[str] = []
    monkeypatch.setattr("quorate.etcd.client.endpoint.Login", lambda _user, password: used.append(password.reveal()))
    assert run_with(["etcd", "members", "--endpoints", DEAD, *user, f"--password-file={tmp_path}/good"]) == 1
    assert used == ["good"]


def test_a_variable_counts_before_a_prompt_and_a_file_needs_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used: list[str] = []
    monkeypatch.setattr("quorate.etcd.client.endpoint.Login", lambda _user, password: used.append(password.reveal()))
    monkeypatch.setenv("ETCDCTL_PASSWORD", "variable")
    assert run_with(["etcd", "members", "--endpoints", DEAD, "--user=root"]) == 1
    assert used == ["variable"]
    capsys.readouterr()
    assert run_with(["etcd", "members", "--endpoints", DEAD, f"--password-file={tmp_path}/x"]) == 3
    assert "--password-file without a user" in capsys.readouterr().err


def test_a_command_that_an_error_advises_asks_the_same_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pasted without --endpoints, the removal that was advised would have been one of another cluster."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise Refused("no", advice="quorate etcd remove c    # or 'quorate etcd status'")

    (tmp_path / "pass word").write_text("secret")
    monkeypatch.setattr("quorate.etcd.cluster.Cluster.status", refuse)
    monkeypatch.setenv("ETCDCTL_USER", "root:secret")
    shown = f"--endpoints={DEAD},{OTHER} '--password-file={tmp_path}/pass word'"
    assert (
        run_with(["etcd", "--endpoints", DEAD, "status", f"--endpoints={OTHER}", f"--password-file={tmp_path}/pass word"]) == 4
    )
    said = capsys.readouterr().err
    assert f"quorate etcd {shown} remove c" in said and f"quorate etcd {shown} status" in said and "secret" not in said
    assert to_paste("quorate", "etcd", "status") == "quorate etcd status", "of that command only"
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", DEAD)
    assert run_with(["etcd", "status"]) == 4
    assert "quorate etcd remove c " in capsys.readouterr().err, "the variable is still there when it is pasted"


@pytest.mark.parametrize(
    "words",
    [
        ["reset", "--force", "--rootfs="],
        ["init", "phase", "certs", "all", "--rootfs", ""],
        ["etcd", "members", "--rootfs="],
        ["etcd", "--rootfs=", "members"],
        ["etcd", "add", "x", "--dir="],
        ["local", "down", "--purge", "--dir", " "],
    ],
    ids=" ".join,
)
def test_a_directory_without_a_name_is_not_this_host(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A script with --rootfs "$ROOT", where ROOT is not set, would have reset the host."""
    assert run_with(words) == 3
    assert "it names no directory" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--endpoints", DEAD, "add", "x", "--dir", "/d"], ["add", "x", "--dir=/d", "--user=u"]])
def test_two_names_of_a_cluster_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["etcd", *words]) == 3
    assert "name two clusters" in capsys.readouterr().err


def test_no_command_without_an_endpoint_is_advised_where_the_own_etcd_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "etc/kubernetes/manifests/etcd.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("a: [")
    for words in (["--rootfs", str(tmp_path), "defrag"], ["defrag", "--rootfs", str(tmp_path)]):
        assert run_with(["etcd", *words]) == 3
        assert "next: etcdctl defrag --endpoints=HOST:PORT" in capsys.readouterr().err
    assert run_with(["etcd", "defrag", "--endpoints=a:1"]) == 3
    assert "next: etcdctl defrag --endpoints=a:1\n" in capsys.readouterr().err
