"""The command line's contract: helps, exit codes, errors for people and for programs."""

from __future__ import annotations

import errno
import json
import os
import platform
from pathlib import Path

import click
import pytest
import yaml
from conftest import RunCli

import quorate
from quorate.cli.common.durations import DURATION, WAIT, Seconds
from quorate.cli.common.output import size
from quorate.cli.common.progress import PlainProgress, describe
from quorate.cli.main import main, run_with
from quorate.report import Event, Notice


def commands(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    found = [path] if path else []
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            found += commands(child, *path, name)
    return found


@pytest.mark.parametrize("path", commands(main), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...], cli: RunCli) -> None:
    done = cli(*path, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 4 and done.stderr == ""


def test_version(cli: RunCli) -> None:
    assert cli("--version").stdout == f"quorate {quorate.__version__}\n"


def test_a_version_says_what_a_bug_report_needs(cli: RunCli) -> None:
    shown = json.loads(cli("version", "-o", "json").stdout)["clientVersion"]
    assert shown["version"] == quorate.__version__ and shown["python"] == platform.python_version() and "/" in shown["platform"]
    assert yaml.safe_load(cli("version", "-o", "yaml").stdout)["clientVersion"] == shown


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["local", "up", "--bogus"], ["local", "up", "--members", "x"], ["etcd", "member", "list", "-w", "x"]],
)
def test_a_wrong_command_line_is_3(arguments: list[str], cli: RunCli) -> None:
    done = cli(*arguments)
    assert done.returncode == 3 and "Traceback" not in done.stderr and done.stderr


def test_an_error_says_what_now_and_next(cli: RunCli, tmp_path: Path) -> None:
    done = cli("local", "status", "--dir", str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"error: there is no local cluster in {tmp_path}",
        f" next: quorate local up --dir {tmp_path}",
    ]


def test_an_error_as_json(cli: RunCli, tmp_path: Path) -> None:
    for spelling in (["-o", "json"], ["--output=json"]):
        error = json.loads(cli("local", "status", "--dir", str(tmp_path), *spelling).stderr)["error"]
        assert error["code"] == "config" and error["exitCode"] == 3 and error["advice"].startswith("quorate local up")


@pytest.mark.parametrize(
    "arguments",
    [
        ["members"],
        ["status"],
        ["env"],
        ["logs", "m1"],
        ["kill", "m1"],
        ["leave", "m1"],
        ["join"],
        ["down"],
        ["start", "m1"],
        ["stop", "m1"],
    ],
)
def test_without_a_cluster_every_command_says_so(arguments: list[str], cli: RunCli, tmp_path: Path) -> None:
    done = cli("local", *arguments, "--dir", str(tmp_path / "none"))
    assert done.returncode == 3 and "there is no local cluster" in done.stderr


def test_an_endpoint_that_is_not_there(cli: RunCli) -> None:
    done = cli("etcd", "member", "list", "--endpoints=127.0.0.1:1")
    assert done.returncode == 1 and "connection refused" in done.stderr and done.stdout == ""


def test_ignored_and_refused_flags_of_etcdctl(cli: RunCli) -> None:
    ignored = ["--insecure-transport=false", "--keepalive-time=1s", "--debug", "--max-recv-bytes=5", "--insecure-discovery"]
    assert "connection refused" in cli("etcd", "member", "list", "--endpoints=127.0.0.1:1", *ignored).stderr
    assert cli("etcd", "member", "list", "--insecure-skip-tls-verify").returncode == 3
    assert cli("etcd", "member", "list", "--discovery-srv=example.org").returncode == 3


@pytest.mark.parametrize(
    ("variable", "value"), [("ETCDCTL_INSECURE_SKIP_TLS_VERIFY", "true"), ("ETCDCTL_DISCOVERY_SRV", "example.org")]
)
def test_a_variable_is_refused_as_its_flag(variable: str, value: str, cli: RunCli) -> None:
    """It was ignored without a word."""
    done = cli("etcd", "members", "--endpoints=127.0.0.1:1", **{variable: value})
    assert done.returncode == 3 and variable in done.stderr and f"leave out {variable}" in done.stderr
    assert cli("etcd", "members", "--endpoints=127.0.0.1:1", ETCDCTL_INSECURE_SKIP_TLS_VERIFY="false").returncode == 1
    off = cli("etcd", "members", "--endpoints=127.0.0.1:1", "--insecure-skip-tls-verify=false", **{variable: value})
    assert off.returncode == (1 if "TLS" in variable else 3)


def test_a_new_member_is_a_learner_by_any_spelling(cli: RunCli) -> None:
    """As etcdctl has it; what it means here is said, because the habit expects that the member stays one."""
    done = cli("etcd", "add", "m4", "--learner", "--peer-urls=http://127.0.0.1:1", "--endpoints=127.0.0.1:1")
    assert done.returncode == 1 and "'quorate etcd member add' only registers one" in done.stderr
    assert "learner" not in cli("etcd", "add", "m4", "--peer-urls=http://127.0.0.1:1", "--endpoints=127.0.0.1:1").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, cli: RunCli) -> None:
    assert "_QUORATE_COMPLETE" in cli("completion", shell).stdout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("500ms", 0.5), ("1m30s", 90.0), ("1.5h", 5400.0), ("60", 60.0), ("0.5", 0.5), ("0", 0.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", ".", "s", "5 s", "5x", "-5s", "-5", "1e3", "nan", "inf", "1m30", "٣", "200h", "9" * 5000])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "0s", "0.0001s"])
def test_a_limit_of_nothing_is_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="out of range"):
        WAIT.convert(text, None, None)


def test_every_option_takes_durations_by_one_rule() -> None:
    """Two rules in one command: --timeout took 60 and not 60s, --command-timeout the reverse."""
    seen: set[str] = set()

    def look(command: click.Command) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                look(found)
        for param in command.params:
            if any(word in str(param.name) for word in ("timeout", "absence", "interval")):
                seen.add(str(param.name))
                assert isinstance(param.type, Seconds), (command.name, param.name)

    look(main)
    assert {"timeout", "absence", "interval", "command_timeout", "keepalive_timeout"} <= seen


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1300, "1.3 kB"), (20480, "20 kB"), (3_400_000_000, "3.4 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_progress_numbers() -> None:
    event = Event("catch-up", "m2", "receiving the data", 120, 0.3, 14_000_000, 20_000_000)
    assert describe(event) == "receiving the data, 120 entries behind (0.3 s), 14 MB of 20 MB"
    assert describe(Event("promote", "m2", "now", 0, 0.0, 1, 1)) == "now"


def test_plain_progress_does_not_repeat_itself(capsys: pytest.CaptureFixture[str]) -> None:
    report = PlainProgress()
    for lag in (3, 2, 1):
        report(Event("catch-up", "m2", "receiving the data", lag))
    report(Notice("mind the gap", "warning"))
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2 and "3 entries behind" in printed[0] and printed[1] == "warning: mind the gap"


def test_plain_progress_does_not_count_down_the_last_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe got one line for each of the last ten seconds."""
    report = PlainProgress()
    for left in (20, *range(10, 0, -1)):
        report(Event("start", "m2", "waiting for its etcd to start", seconds_left=left))
    assert [line.partition("start; ")[2] for line in capsys.readouterr().err.splitlines()] == ["20 s left"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--peer-urls", "https://a:1", "--key-file", "/x", "--unit", "y"], "--key-file, --unit need --runtime"),
        (["--peer-urls", "https://a:1", "--no-inbound-probe"], "--no-inbound-probe needs --runtime"),
        (["--dir", "/nowhere", "--timeout", "5", "--key-file", "/x"], "leave out --key-file, --timeout"),
        (["--dir", "/nowhere", "--restart", "true"], "leave out --restart"),
        (["--peer-urls", "https://a:1", "--occupy-the-seat"], "--occupy-the-seat is for a standby"),
        (["--dir", "/nowhere", "--occupy-the-seat"], "--occupy-the-seat is for a standby"),
        (
            ["--peer-urls", "http://a:1", "--runtime", "process", "--start", "x", "--env-file", "y"],
            "leave out --start, --env-file",
        ),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(cli: RunCli, words: list[str], named: str) -> None:
    """Whoever gave it takes it to have worked."""
    done = (
        cli("etcd", "add", "m9", *words, "--endpoints=127.0.0.1:1")
        if "--dir" not in words
        else cli("etcd", "add", "m9", *words)
    )
    assert done.returncode == 3 and named in done.stderr, done.stderr


def test_a_seat_is_for_standbys_also_of_a_local_cluster(cli: RunCli, tmp_path: Path) -> None:
    done = cli("local", "join", "m4", "--occupy-the-seat", "--dir", str(tmp_path))
    assert done.returncode == 3 and "--occupy-the-seat is for a standby" in done.stderr


@pytest.mark.parametrize(
    "words", ["init phase certs all", "init phase kubeconfig admin", "config print init-defaults", "doctor"]
)
def test_a_path_that_this_user_may_not_use_is_named(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was "this should not happen", for a user who is not root. Tests run as root, whom the kernel refuses nothing."""
    kept, real = str(tmp_path / "etc"), os.stat

    def stat(path: str | Path, *args: object, **more: object) -> os.stat_result:
        if str(path).startswith(kept):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    code = run_with([*words.split(), "--rootfs", str(tmp_path)])
    said = capsys.readouterr().err
    assert "should not happen" not in said and "resumes" not in said
    if words.startswith("init"):
        assert code == 1 and f"may not use {kept}" in said and "run this as root" in said, said
