"""Logs: what -v, -q, --log-file and --log-format do, wherever they are given, and what never gets into a log."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import schemas
from conftest import ROOT, RunCli
from jsonschema import Draft202012Validator
from kubeadm_cases import MINIMAL

from quorate.cli.common.go_flags import plain_flags
from quorate.deadline import Cancel
from quorate.errors import HostError
from quorate.files import open_log
from quorate.host import programs

SOURCE = ROOT / "src" / "quorate"
NOWHERE = "--endpoints=127.0.0.1:1"


def lines_of(path: Path) -> list[dict[str, object]]:
    """The lines of a log in JSON, each held against its schema."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    schema = Draft202012Validator({"$ref": "#/$defs/logLine", "$defs": schemas.definitions()})
    for line in found:
        schema.validate(line)
    return found


@pytest.mark.parametrize("line", ["HERE etcd status", "etcd HERE status", "etcd status HERE"])
def test_the_options_stand_before_and_after_a_command(line: str, cli: RunCli, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ["-vv", f"--log-file={log}", "--log-format=json"]
    done = cli(*(part for word in line.split() for part in (options if word == "HERE" else [word])), NOWHERE)
    assert done.returncode == 1 and done.stdout == ""
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert {"MemberList", "Status"} <= {line["fields"].get("method") for line in told}
    kept = lines_of(log)
    assert kept[0]["fields"] == {"command": "quorate etcd status", "pid": kept[0]["fields"]["pid"]}  # type: ignore[index]
    assert kept[-1]["level"] == "error" and "connection refused" in str(kept[-1]["message"])
    assert [line for line in kept if line["logger"] != "quorate.cli.common.logs" and "method" in line["fields"]]  # type: ignore[operator]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_request_is_logged_with_its_endpoint_its_code_and_its_time(cli: RunCli, tmp_path: Path) -> None:
    log = tmp_path / "log"
    cli(
        "etcd", "member", "list", NOWHERE, f"--log-file={log}", "--log-format=json", "--user=root", ETCDCTL_PASSWORD="geheim-77"
    )
    (call, *_) = [line["fields"] for line in lines_of(log) if line["logger"] == "quorate.etcd.client.channel"]
    assert isinstance(call, dict)
    assert (call["method"], call["endpoint"], call["code"]) == ("Authenticate", "127.0.0.1:1", "UNAVAILABLE")
    assert isinstance(call["seconds"], float)
    assert "geheim-77" not in log.read_text()


def test_levels(cli: RunCli) -> None:
    """1 is what is decided and done, 2 also every request; nothing without -v."""
    said = [line.split(":")[0].strip() for line in cli("etcd", "status", NOWHERE).stderr.splitlines()]
    assert said == ["error", "now", "next"]
    assert "debug" not in cli("etcd", "status", NOWHERE, "-v").stderr
    assert "debug   quorate.etcd.client.channel" in cli("etcd", "status", NOWHERE, "-v=2").stderr


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("-v etcd status", "--verbose=1 etcd status"),
        ("etcd -vvv", "etcd --verbose=3"),
        ("init -v 5 --dry-run", "init --verbose=5 --dry-run"),
        ("init -v=5", "init --verbose=5"),
        ("init --v=5", "init --verbose=5"),
        ("init --v 5", "init --verbose=5"),
        ("init --verbose", "init --verbose=1"),
        ("-v5 init", "--verbose=5 init"),
        ("local up --members -v", "local up --members --verbose=1"),
        ("etcd add -- -v", "etcd add -- -v"),
        ("--version", "--version"),
    ],
)
def test_every_spelling_of_a_verbosity(words: str, read: str) -> None:
    """kubeadm's with a level, and everybody else's."""
    assert " ".join(plain_flags(words.split())) == read


def test_quiet_leaves_warnings_and_errors(cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL.replace("v1.34.4", "v1.28.0"))
    loud = cli("config", "images", "list", "--config", str(path))
    quiet = cli("-q", "config", "images", "list", "--config", str(path))
    assert "warning:" in loud.stderr and quiet.stderr == loud.stderr and quiet.stdout == loud.stdout
    assert "error:" in cli("etcd", "status", NOWHERE, "--quiet").stderr


def test_control_characters_of_others_are_escaped(cli: RunCli, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for form in ("text", "json"):
        cli("local", "status", "--dir", f"{tmp_path}/a\n\x1b[2Jb", f"--log-file={log}", f"--log-format={form}")
    kept = log.read_text()
    assert "\x1b" not in kept and len(kept.splitlines()) == 4
    assert "\\n\\x1b[2Jb" in kept and "\\n\\u001b[2Jb" in kept


def test_a_log_of_somebody_else_is_not_written(tmp_path: Path) -> None:
    other, link, wide = tmp_path / "other", tmp_path / "link", tmp_path / "wide"
    other.write_text("theirs\n")
    link.symlink_to(other)
    wide.write_text("")
    wide.chmod(0o666)
    os.link(other, tmp_path / "hard")
    os.mkfifo(tmp_path / "pipe")
    for name, why in [
        ("link", "it is a symlink"),
        ("wide", "others may write to it"),
        ("hard", "several names"),
        ("pipe", "No such device or address"),
        (".", "Is a directory"),
        ("none/log", "No such file"),
    ]:
        with pytest.raises(HostError, match=why):
            open_log(tmp_path / name)
    assert other.read_text() == "theirs\n"


def test_a_log_does_not_follow_a_link_of_another_user_on_its_way(tmp_path: Path) -> None:
    """What is appended would land where that user wants it."""
    (tmp_path / "place").mkdir()
    (tmp_path / "ours").symlink_to("place")
    os.close(open_log(tmp_path / "ours" / "log"))
    (tmp_path / "theirs").symlink_to("place")
    os.chown(tmp_path / "theirs", 4321, -1, follow_symlinks=False)
    with pytest.raises(HostError, match=r"the link .*/theirs is not followed"):
        open_log(tmp_path / "theirs" / "log")


def test_what_is_there_stays(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    fd = open_log(log)
    os.write(fd, b"after\n")
    os.close(fd)
    assert log.read_text() == "before\nafter\n"


def test_a_log_that_cannot_be_opened_stops_the_command(cli: RunCli, tmp_path: Path) -> None:
    done = cli("token", "generate", f"--log-file={tmp_path}/none/log")
    assert done.returncode == 3 and done.stdout == "" and "cannot open the log" in done.stderr
    assert "next: check the path given with --log-file" in done.stderr


def test_a_disk_that_is_full_ends_the_log_and_not_the_command(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: the first line has no room."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "from quorate.cli.entry import run\n"
        "run()"
    )
    log = tmp_path / "log"
    words = ["local", "status", "--dir", str(tmp_path / "none"), f"--log-file={log}"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "there is no local cluster" in done.stderr
    assert done.stderr.count(f"the log {log} ends here: File too large") == 1


def test_a_program_of_the_user_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """They may hold a password. Ours hold none."""
    with caplog.at_level(logging.DEBUG, logger="quorate"):
        programs.run_visibly(["true", "--password=geheim-77"], dict(os.environ), seconds=10, cancel=Cancel())
        programs.run(["sh", "-c", "exit 3"], seconds=10)
    assert [one.getMessage() for one in caplog.records] == ["ran true: exit code 0", "ran sh -c exit 3: exit code 3"]


def test_every_file_that_is_written_is_logged(cli: RunCli, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    log = tmp_path / "log"
    at = ("--config", str(path), "--rootfs", str(root), f"--log-file={log}", "--log-format=json")
    assert cli("init", "phase", "certs", "ca", *at).returncode == 0
    lines = lines_of(log)
    written = {line["fields"]["path"]: line["fields"]["mode"] for line in lines if line["logger"] == "quorate.tree"}  # type: ignore[index]
    assert written == {"/etc/kubernetes/pki/ca.crt": "0644", "/etc/kubernetes/pki/ca.key": "0600"}
    assert "PRIVATE KEY" not in log.read_text()
    assert any(line["message"] == "phase certs/ca" for line in lines)


def test_the_library_logs_nothing_by_itself() -> None:
    """A warning of ours without a handler would be printed by Python: the library adds a handler that does nothing."""
    script = "from quorate.loggers import logger\nlogger('quorate.etcd').warning('mind the gap')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_every_logger_comes_from_where_the_handler_is_added() -> None:
    found = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if "getLogger" in path.read_text()}
    assert found == {"loggers.py", "cli/common/log_handlers.py"}


def test_one_command_line_leaves_no_handler_for_the_next(cli: RunCli, tmp_path: Path) -> None:
    from quorate.cli.main import run_with

    before = list(logging.getLogger("quorate").handlers)
    assert run_with(["token", "generate", f"--log-file={tmp_path}/log", "-vv"]) == 0
    assert logging.getLogger("quorate").handlers == before and logging.getLogger("quorate").level == logging.NOTSET


def test_the_reference_names_every_logger() -> None:
    modules = [
        path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if re.search(r"\blogger\(__name__\)", path.read_text())
    ]
    names = {".".join(("quorate", *path.with_suffix("").parts)) for path in modules if path.name != "__init__.py"}
    named = re.findall(r"^\| `(quorate\.[a-z_.]+)`", (ROOT / "docs/reference/logging.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(name for name in names if not name.startswith("quorate.cli."))
