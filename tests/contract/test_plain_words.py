"""Failures that new users met are named in plain words, with the flag or the command that helps."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from conftest import RunCli

from quorate.cli.main import run_with
from quorate.errors import HostError
from quorate.host.cri import CriError, Runtime
from quorate.host.facts import why_silent
from quorate.host.systemd import Systemd


@pytest.mark.parametrize("words", [(), ("--control-plane",), ("phase", "preflight"), ("-o", "json")])
def test_a_join_without_a_cluster_names_the_flags(words: tuple[str, ...], cli: RunCli, tmp_path: Path) -> None:
    done = cli("join", *words, "--rootfs", str(tmp_path)) if "phase" not in words else cli("join", *words)
    assert done.returncode == 3
    for flag in ("HOST:PORT", "--token", "--discovery-token-ca-cert-hash", "--discovery-file", "--config"):
        assert flag in done.stderr
    assert "quorate token create --print-join-command" in done.stderr and "file, then" not in done.stderr


def test_one_bad_token_is_one_problem(cli: RunCli) -> None:
    done = cli("join", "a:1", "--token", "x", "--discovery-token-unsafe-skip-ca-verification")
    assert done.returncode == 3 and done.stderr.count("is not a bootstrap token") == 1
    done = cli(
        *("join", "a:1", "--discovery-token", "x", "--tls-bootstrap-token", "y"),
        "--discovery-token-unsafe-skip-ca-verification",
    )
    assert done.stderr.count("is not a bootstrap token") == 2


def test_a_bad_flag_is_no_file_to_correct(cli: RunCli) -> None:
    done = cli("init", "--kubernetes-version", "foo")
    assert done.returncode == 3 and "correct the file" not in done.stderr


def test_why_no_container_runtime_answers(tmp_path: Path) -> None:
    missing, dead = tmp_path / "none.sock", tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    for path, why in ((missing, "there is no such socket"), (dead, "nothing listens there")):
        assert why_silent(path) == why
        with pytest.raises(CriError) as error, Runtime.connect(f"unix://{path}") as runtime:
            runtime.version()
        assert error.value.what == f"the container runtime at unix://{path} does not answer: {why}"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(tmp_path / "alive.sock"))
        alive.listen()
        assert not why_silent(tmp_path / "alive.sock")


def test_a_pull_without_a_runtime_warns_once(cli: RunCli, tmp_path: Path) -> None:
    done = cli("config", "images", "pull", "--cri-socket", f"unix://{tmp_path}/none", PATH=str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("no Kubernetes version is given") == 1
    assert "there is no such socket" in done.stderr and "Status" not in done.stderr and "errno" not in done.stderr.lower()


def test_a_reset_needs_no_version(cli: RunCli, tmp_path: Path) -> None:
    done = cli("reset", "--rootfs", str(tmp_path), "--dry-run", PATH=str(tmp_path))
    assert done.returncode == 0 and "Kubernetes version" not in done.stderr


def test_a_doctor_of_no_node(cli: RunCli, tmp_path: Path) -> None:
    """No errno and no gRPC text: no kubelet is installed, and there is no runtime."""
    done = cli("doctor", "--cri-socket", f"unix://{tmp_path}/none", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "no kubelet is installed" in done.stdout and "there is no such socket" in done.stdout
    assert "rrno" not in done.stdout and "grpc" not in done.stdout.lower() and "FAILED_PRECONDITION" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 300


def test_a_doctor_that_is_not_root_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    run_with(["doctor"])
    assert "not run as root" in capsys.readouterr().out


def test_no_systemd_is_named(tmp_path: Path) -> None:
    """systemctl is there in many containers, systemd is not."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'System has not been booted with systemd as init system (PID 1).' >&2; exit 1\n")
    systemctl.chmod(0o755)
    with pytest.raises(HostError, match="systemd does not run on this machine"):
        Systemd((str(systemctl),)).show("etcd")


@pytest.mark.parametrize("form", [(), ("-o", "json")])
def test_a_dry_run_of_init_shows_no_token_and_no_success(form: tuple[str, ...], cli: RunCli, tmp_path: Path) -> None:
    """docs/compat.md: keys and tokens are never shown."""
    token, key = "abcdef.0123456789abcdef", "a1" * 32
    flags = ("--token", token, "--certificate-key", key, "--upload-certs", "--rootfs", str(tmp_path))
    cluster = (
        "--kubernetes-version",
        "v1.34.4",
        "--control-plane-endpoint",
        "lb:6443",
        "--apiserver-advertise-address",
        "10.0.0.1",
    )
    done = cli("init", "--dry-run", "--ignore-preflight-errors=all", *flags, *cluster, *form)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert token not in said and token.partition(".")[2] not in said and key not in said
    assert "successfully" not in said and "quorate join" not in said
    assert "dry run: nothing was changed" in (done.stdout.splitlines()[-1] if form else done.stderr.splitlines()[-1])


def test_a_dry_run_of_reset_says_would(cli: RunCli, tmp_path: Path) -> None:
    done = cli("reset", "--dry-run", "--rootfs", str(tmp_path))
    assert done.returncode == 0 and "Deleting" not in done.stdout and "Would delete files" in done.stdout
    assert "Not touched" not in done.stdout and done.stderr.endswith("dry run: nothing was changed\n")
