"""One command of ours at a time changes a node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.main import run_with
from quorate.deadline import SystemClock
from quorate.errors import Refused
from quorate.host import node_lock
from quorate.report import silent

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes a node")
HOLDER = """
import sys
from pathlib import Path
from quorate.deadline import SystemClock
from quorate.host import node_lock
from quorate.report import silent
node_lock._PATH = Path(sys.argv[1])
with node_lock.changing_node(Path("/"), "reset", SystemClock(), silent):
    print("held", flush=True)
    sys.stdin.read()
"""


@as_root
def test_the_command_that_works_on_the_node_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node_lock, "_PATH", tmp_path / "lock")
    monkeypatch.setattr(node_lock, "_SECONDS", 0.0)
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Refused, match=rf"'quorate reset' \(pid {holder.pid}\) works on this node"),
            node_lock.changing_node(Path("/"), "join", SystemClock(), silent),
        ):
            pass
        assert run_with(["certs", "renew", "apiserver"]) == Refused.exit_code
        assert "'quorate reset'" in capsys.readouterr().err
        with node_lock.changing_node(tmp_path, "join", SystemClock(), silent):
            """Below another root nothing runs: that is another node's files."""
        holder.kill()
    with node_lock.changing_node(Path("/"), "join", SystemClock(), silent):
        """The kernel frees the lock of a command that was killed."""
    assert not (tmp_path / "lock").exists(), "nothing is left behind"
