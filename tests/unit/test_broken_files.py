"""A certificate, key or kubeconfig that cannot be read has one advice, whichever command finds it; and what `kubeconfig user`
warns of."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubeadm_cases import context_of, everything, setup_of

from quorate.cli.main import run_with
from quorate.host import facts
from unit.test_certs_output import CONFIG


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(CONFIG)
    root = tmp_path / "root"
    root.mkdir()
    everything(context_of(setup_of(), root))
    return root


def advice(root: Path, command: str, capsys: pytest.CaptureFixture[str]) -> str:
    config = str(root.parent / "c.yaml")
    assert run_with([*command.split(), "--rootfs", str(root), "--config", config]) != 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith(" next: ")]
    return line.removeprefix(" next: ")


@pytest.mark.parametrize(
    ("file", "commands", "said"),
    [
        (
            "pki/apiserver.crt",
            ("certs check-expiration", "certs renew all", "certs renew apiserver", "init phase certs apiserver"),
            "move /etc/kubernetes/pki/apiserver.crt and /etc/kubernetes/pki/apiserver.key to another folder, and make them",
        ),
        (
            "pki/ca.crt",
            (
                *("certs check-expiration", "certs renew apiserver", "init phase certs apiserver"),
                *("init phase kubeconfig admin", "kubeconfig user --client-name x"),
            ),
            "put the CA of this cluster there, /etc/kubernetes/pki/ca.crt and /etc/kubernetes/pki/ca.key: nobody",
        ),
        (
            "pki/ca.key",
            ("certs check-expiration", "certs renew apiserver", "kubeconfig user --client-name x"),
            "put the key of /etc/kubernetes/pki/ca.crt there: the host that made this CA has it",
        ),
        (
            "admin.conf",
            ("certs check-expiration", "certs renew all", "certs renew admin.conf", "init phase kubeconfig admin"),
            "move /etc/kubernetes/admin.conf to another folder, and make it anew by the cluster's configuration: quorate init",
        ),
    ],
)
def test_what_cannot_be_read_has_one_advice(
    file: str, commands: tuple[str, ...], said: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc/kubernetes" / file).write_text("garbage\n")
    (found,) = {advice(root, command, capsys) for command in commands}
    assert found.startswith(said)


def test_an_admin_conf_that_cannot_be_read_hides_no_certificate(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc/kubernetes/admin.conf").write_text("garbage\n")
    assert run_with(["certs", "check-expiration", "--rootfs", str(root)]) == 1
    said = capsys.readouterr()
    assert "etcd-server" in said.out
    assert "the configuration of the cluster could not be read: /etc/kubernetes/admin.conf is not a kubeconfig" in said.err
    named = "/etc/kubernetes/admin.conf"
    assert run_with(["certs", "check-expiration", "--kubeconfig", named, "--rootfs", str(root)]) != 0
    assert "etcd-server" not in capsys.readouterr().out


def test_a_kubeconfig_for_a_user_warns_of_nothing_that_it_does_not_depend_on(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "kubelet_version", lambda: "")
    assert run_with(["kubeconfig", "user", "--client-name", "x", "--rootfs", str(root)]) == 0
    assert "warning" not in capsys.readouterr().err
    assert run_with(["kubeconfig", "user", "--client-name", "x", "--validity-period", "200000h", "--rootfs", str(root)]) == 0
    (warned,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    # It is printed, and is no file of this node.
    assert warned.startswith("warning: the kubeconfig of x is of use only until its CA ends")
