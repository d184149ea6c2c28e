"""Full disks, closed pipes, closed descriptors, and nobody at the keyboard."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunCli

QUORATE = f"{shlex.quote(sys.executable)} -m quorate"
COMMANDS = (
    "--help",
    "--version",
    "help etcd",
    "etcd add --help",
    "version",
    "completion bash",
    "local list",
    "local list -o json",
    "local list -o yaml",
    "config print init-defaults",
    "etcd watch --count 1 -o json --endpoints 127.0.0.1:1",
)


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=60, env=environment
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_disk_is_named(words: str, tmp_path: Path) -> None:
    done = shell(f"{QUORATE} {words} > /dev/full", tmp_path)
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "should not happen" not in done.stderr


@pytest.mark.parametrize("words", COMMANDS)
def test_a_reader_that_has_enough_is_no_failure(words: str, tmp_path: Path) -> None:
    done = shell(f"{QUORATE} {words} | exec true", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["", "-o json", "-o yaml"])
def test_a_watch_ends_with_its_reader(form: str, tmp_path: Path) -> None:
    done = shell(f"{QUORATE} etcd watch {form} --interval 10ms --endpoints 127.0.0.1:1 | head -1", tmp_path)
    assert done.returncode == 0 and done.stdout.count("\n") == 1 and done.stderr == ""


def test_a_stderr_that_takes_no_write_changes_no_exit_code(tmp_path: Path) -> None:
    assert shell(f"{QUORATE} etcd status --endpoints 127.0.0.1:1 2> /dev/full", tmp_path).returncode == 1
    assert shell(f"{QUORATE} -v2 local list 2> /dev/full", tmp_path).returncode == 0
    assert shell(f"{QUORATE} nonsense 2> /dev/full", tmp_path).returncode == 3


@pytest.mark.parametrize(("output", "code"), [("| exec true", 0), ("> /dev/full", 1)])
@pytest.mark.parametrize("form", ["", "-o json"])
def test_a_change_goes_on_without_its_output(output: str, code: int, form: str, tmp_path: Path) -> None:
    """It was cut off in the middle, and ended with the exit code of success."""
    (tmp_path / "node").mkdir()
    words = f"init phase certs all --rootfs {tmp_path}/node --kubernetes-version v1.34.4 {form}"
    done = shell(f"{QUORATE} {words} --apiserver-advertise-address 10.0.0.1 {output}", tmp_path)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "node/etc/kubernetes/pki/etcd/healthcheck-client.crt").is_file()
    assert (tmp_path / "node/etc/kubernetes/pki/sa.key").is_file()


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&-", "0<&- 1>&- 2>&-"])
def test_closed_descriptors(closed: str, tmp_path: Path) -> None:
    """A file that is opened later must not get the number of stdout."""
    log = tmp_path / "log"
    done = shell(f"{QUORATE} local list --log-file {log} {closed}", tmp_path)
    lost = "1>&-" in closed
    assert (done.returncode, "stdout is closed" in done.stderr) == (1 if lost else 0, lost and "2>&-" not in closed)
    assert "there is no local cluster" not in log.read_text()


@pytest.mark.parametrize("words", [one for one in COMMANDS if "watch" not in one])
def test_what_a_closed_stdout_loses_is_no_success(words: str, tmp_path: Path) -> None:
    """It was one for tables, and none for documents."""
    done = shell(f"{QUORATE} {words} 1>&-", tmp_path)
    assert done.returncode == 1 and "stdout is closed" in done.stderr and "Traceback" not in done.stderr


def test_a_change_goes_on_where_stdout_is_closed(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    words = f"init phase certs all --rootfs {tmp_path}/node --kubernetes-version v1.34.4 -o json"
    done = shell(f"{QUORATE} {words} --apiserver-advertise-address 10.0.0.1 1>&-", tmp_path)
    assert done.returncode == 1 and (tmp_path / "node/etc/kubernetes/pki/sa.key").is_file()


@pytest.mark.parametrize("typed", ["", "n\n", "\n"])
def test_a_reset_that_nobody_confirms_says_how(typed: str, tmp_path: Path) -> None:
    """Without a terminal it was "interrupted"."""
    done = subprocess.run(
        [sys.executable, "-m", "quorate", "reset", "--rootfs", str(tmp_path)],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 4
    said = "error: the reset was not confirmed\n  now: nothing was changed\n next: --force skips the question\n"
    assert done.stderr.endswith(said)


def test_an_encoding_without_the_letters(cli: RunCli) -> None:
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = cli("etcd", "members", "--endpoints", "mémé:1", "--command-timeout", "1s", **posix)
    assert done.returncode == 3 and "that the locale cannot read" in done.stderr


@pytest.mark.parametrize("module", ["click", "quorate.errors", "quorate.cli.common.output", "quorate.cli.local.group"])
@pytest.mark.parametrize(("form", "shown"), [("table", ""), ("json", '"code": "interrupted"')])
def test_ctrl_c_during_an_import_is_an_interruption(module: str, form: str, shown: str, tmp_path: Path) -> None:
    """The first tenth of a second is imports: it ended in a traceback, and killed by the signal."""
    script = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        f"sys.argv[1:] = ['local', 'list', '-o', {form!r}]\n"
        "from quorate.cli.entry import run\n"
        "run()"
    )
    done = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(script)}", tmp_path)
    assert done.returncode == 130 and "interrupted" in done.stderr and "Traceback" not in done.stderr
    assert shown in done.stdout and (done.stdout == "") == (form == "table")
