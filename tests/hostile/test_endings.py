"""How a command ends when something happens that nobody foresaw, or when it is asked to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kubeadm_cases import context_of, setup_of

from hostile.servers import NEVER_WHOLE, Speak, server
from hostile.test_discovery import tls_of
from quorate.cli import main
from quorate.config import types as v4
from quorate.config.defaults import Facts
from quorate.errors import Interrupted, Unforeseen, foreseen
from quorate.phases.base.runner import Phase, Steps
from quorate.phases.join import run as join_whole
from quorate.phases.join import undo as undo_join
from quorate.phases.join.discovery import Found
from quorate.phases.join.found_cluster import FoundCluster
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.join.request import JoinAccount, JoinRequest
from quorate.pki import kubeconfig
from quorate.pki.certificates import make_ca
from quorate.secret import Secret

SECRET = "geheim-77"


class OddError(Exception):
    """What no code of ours raises."""


def raising(error: BaseException) -> Steps[PreparedJoin]:
    def step(_join: PreparedJoin) -> None:
        raise error

    return Steps({"odd": step})


@pytest.mark.parametrize("error", [RecursionError("x"), OddError(SECRET), MemoryError(), KeyboardInterrupt()])
def test_a_whole_join_is_taken_back_whatever_ended_it(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row i13: a RecursionError left a learner, a kubelet and an etcd behind."""
    context = context_of(setup_of(), tmp_path)
    request = JoinRequest(context, v4.JoinConfiguration(), Facts("cp1", "10.0.0.1", "", "v1.34.4", ""), "whole")
    cluster = FoundCluster(request, Found("https://127.0.0.1:1", b"", Secret("")))
    taken: list[str] = []
    monkeypatch.setattr(join_whole, "TREE", (Phase("preflight", ""), Phase("odd", "")))
    monkeypatch.setattr(join_whole, "STEPS", raising(error))
    monkeypatch.setattr(join_whole, "_prepared", lambda *_: PreparedJoin(cluster, context, {}, JoinAccount()))
    monkeypatch.setattr(join_whole, "_objects_there", lambda _: [])
    monkeypatch.setattr(undo_join, "take_back", lambda *_: taken.append("back") or "it was rolled back")  # type: ignore[func-returns-value]
    with pytest.raises((Unforeseen, Interrupted)) as ended:
        join_whole.carry_out(request)
    assert taken == ["back"]
    assert ended.value.state == "it was rolled back"
    assert SECRET not in str(ended.value.as_dict())
    assert ended.value.__cause__ is error or isinstance(error, KeyboardInterrupt)


def test_what_nobody_foresaw_is_an_error_and_its_traceback_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def odd(*_: object, **__: object) -> None:
        raise OddError(f"{SECRET}\n\x1b[2J")

    monkeypatch.setattr(main.main, "main", odd)
    assert main.run_with(["etcd", "status", "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().err)["error"]
    assert told["code"] == "unforeseen"
    assert "OddError in hostile.test_endings, line" in told["message"]
    assert SECRET not in str(told)
    (kept,) = (tmp_path / "quorate").glob("traceback-*.txt")
    assert SECRET in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert str(kept) in told["advice"]
    assert main.run_with(["--debug", "etcd", "status"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown and SECRET in shown
    assert "\x1b[2J" not in shown


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), UnicodeError(), RecursionError(), ValueError("x" * 10**6)])
def test_every_error_is_one_of_ours(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = foreseen(error)
    assert len(made.what) < 300
    assert foreseen(made) is made


def quorate(*words: str, home: Path) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_STATE_HOME": str(home)}
    return subprocess.Popen([sys.executable, "-m", "quorate", *words], stderr=subprocess.PIPE, env=environment)


@pytest.mark.parametrize(("name", "speak"), NEVER_WHOLE[:5], ids=[name for name, _ in NEVER_WHOLE[:5]])
def test_the_first_ctrl_c_ends_the_wait_for_an_api_server(name: str, speak: Speak, tmp_path: Path) -> None:
    """Row d2: it did nothing, and the second one left at once, without the undo."""
    now = datetime.now(UTC)
    authority = make_ca("kubernetes", now=now)
    with server(speak, tls_of(authority, tmp_path)) as port:
        conf = tmp_path / "some.conf"
        where = {"ca_pem": authority.certificate_pem(), "cluster": "x", "minor": 34}
        conf.write_bytes(kubeconfig.render(kubeconfig.Identity("x"), server=f"https://127.0.0.1:{port}", **where))  # type: ignore[arg-type]
        tool = quorate("token", "list", f"--kubeconfig={conf}", home=tmp_path)
        try:
            time.sleep(2.0)
            assert tool.poll() is None, tool.communicate()[1].decode()
            tool.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, told = tool.communicate(timeout=20)
            took = time.monotonic() - began
        finally:
            tool.kill()
    assert tool.returncode == Interrupted.exit_code, told.decode()
    assert b"Traceback" not in told
    assert took < 2.0


def test_a_clean_context_is_changed_by_nobody(tmp_path: Path) -> None:
    """The helper above stands for a join; it must not find files of its own."""
    context = context_of(setup_of(), tmp_path)
    assert replace(context, control_plane=False).control_plane is False
    assert not (tmp_path / "etc").exists()
