"""What `certs` prints: broken certificates next to whole ones, renewals that are only planned, requests that were written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from kubeadm_cases import context_of, everything, setup_of

from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.main import run_with
from quorate.phases import doctor
from quorate.phases.base.context import Context
from quorate.phases.base.this_node import ThisNode
from quorate.phases.node.local_etcd import local_etcd

CONFIG = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.77.0.11}
nodeRegistration: {name: cp1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
"""


@pytest.fixture
def node(tmp_path: Path) -> Context:
    (tmp_path / "c.yaml").write_text(CONFIG)
    root = tmp_path / "root"
    root.mkdir()
    context = context_of(setup_of(), root)
    everything(context)
    return context


def run(node: Context, tmp_path: Path, *words: str) -> int:
    return run_with([*words, "--config", str(tmp_path / "c.yaml"), "--rootfs", str(node.tree.at("/"))])


def test_one_that_cannot_be_read_hides_no_other(node: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "root/etc/kubernetes"
    for name in ("pki/apiserver.crt", "scheduler.conf", "pki/front-proxy-ca.crt"):
        (folder / name).write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert run(node, tmp_path, "certs", "check-expiration") == 1
    said = capsys.readouterr()
    shown = {line.split()[0]: line for line in said.out.splitlines() if line}
    assert "cannot be read" in shown["apiserver"] and "364d" in shown["etcd-server"] and "!MISSING!" not in said.out
    assert "apiserver.crt is not a PEM certificate" in said.err and "scheduler.conf is not a kubeconfig file" in said.err
    options = f"--rootfs {tmp_path / 'root'} --config {tmp_path / 'c.yaml'}"
    assert f"quorate init phase certs apiserver {options}" in said.err
    assert f"quorate init phase kubeconfig scheduler {options}" in said.err
    assert "put the CA of this cluster there, /etc/kubernetes/pki/front-proxy-ca.crt and " in said.err
    assert run(node, tmp_path, "certs", "check-expiration", "-o", "json") == 1
    said = capsys.readouterr()
    data = json.loads(said.out)
    rows = {row["name"]: row for row in (*data["certificates"], *data["certificateAuthorities"])}
    assert "is not a PEM certificate" in rows["apiserver"]["error"] and rows["apiserver"]["missing"] is False
    assert rows["etcd-server"]["residualTime"] > 0 and "error" not in rows["etcd-server"]
    assert "is not a PEM certificate" in rows["front-proxy-ca"]["error"]
    assert json.loads(said.err.splitlines()[-1])["error"]["exitCode"] == 1
    assert {one.text for one in doctor.check_certificates(node, "")} == {
        row["error"] for row in rows.values() if "error" in row
    }


def test_the_doctor_names_one_command_for_all_that_ended(node: Context) -> None:
    """Eleven rows, each with a command of its own, at three in the morning."""
    later = replace(node, now=node.now + timedelta(days=400))
    found = list(doctor.check_certificates(later, ""))
    (ended,) = [one for one in found if one.level == "error"]
    assert ended.text.startswith("11 certificates have expired: ") and "apiserver, " in ended.text
    assert ended.advice.startswith("quorate certs renew all")


def test_the_doctor_sees_keys_that_others_can_read(node: Context, tmp_path: Path) -> None:
    assert list(doctor.check_keys(node, "")) == []
    (tmp_path / "root/etc/kubernetes/pki/ca.key").chmod(0o644)
    (tmp_path / "root/etc/kubernetes/pki/etcd/ca.key").chmod(0o640)
    found = list(doctor.check_keys(node, ""))
    assert [one.text.split(" is open")[0] for one in found] == ["/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/etcd/ca.key"]
    assert "mode 0644" in found[0].text and found[0].advice == "chmod 600 /etc/kubernetes/pki/ca.key"


def test_a_renewal_of_all_stops_at_one_that_cannot_be_read(
    node: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "root/etc/kubernetes/pki"
    (folder / "etcd/peer.crt").write_bytes(b"")
    before = (folder / "apiserver.crt").read_bytes()
    assert run(node, tmp_path, "certs", "renew", "all") == 1
    said = capsys.readouterr().err
    assert "nothing was changed" in said and "quorate init phase certs etcd-peer" in said
    assert (folder / "apiserver.crt").read_bytes() == before


def test_a_planned_renewal_reads_like_a_plan(node: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert run(node, tmp_path, "certs", "renew", "all", "--dry-run") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 11 and all(
        re.search(r"would be renewed: it ends \w+ \d+, \d+ [\d:]+ UTC, the new one would end \w+ \d+, \d+ [\d:]+ UTC$", line)
        for line in lines
    )
    assert said.err.splitlines()[-1] == NOTHING_DONE
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert run(node, tmp_path, "certs", "renew", "apiserver") == 0
    said = capsys.readouterr()
    assert "apiserver is renewed until " in said.out and NOTHING_DONE not in said.err and "Restart kube-apiserver" in said.out
    assert "moved out of the manifests folder" in said.out


def test_a_pair_that_a_killed_renewal_left_mixed_is_shown_and_renewed(
    node: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "root/etc/kubernetes/pki"
    (folder / "apiserver.key").write_bytes((folder / "etcd/peer.key").read_bytes())
    (folder / "front-proxy-client.key").write_bytes(b"x")
    assert run(node, tmp_path, "certs", "check-expiration") == 1
    said = capsys.readouterr()
    shown = {line.split()[0]: line for line in said.out.splitlines() if line}
    assert "key does not fit" in shown["apiserver"] and "key does not fit" in shown["front-proxy-client"]
    assert "364d" in shown["etcd-peer"] and "apiserver.key does not belong to /etc/kubernetes/pki/apiserver.crt" in said.err
    assert "quorate certs renew apiserver" in said.err and "quorate certs renew front-proxy-client" in said.err
    assert run(node, tmp_path, "certs", "check-expiration", "-o", "json") == 1
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["certificates"]}
    assert "does not belong to" in rows["apiserver"]["error"] and rows["apiserver"]["residualTime"] > 0
    assert "error" not in rows["etcd-peer"]
    assert any("apiserver.key does not belong" in one.text for one in doctor.check_certificates(node, ""))
    assert run(node, tmp_path, "certs", "renew", "all") == 0
    assert run(node, tmp_path, "certs", "check-expiration") == 0
    (folder / "apiserver.key").unlink()
    assert run(node, tmp_path, "certs", "check-expiration") == 0, "its key may be kept elsewhere"
    (folder / "ca.key").write_bytes((folder / "etcd/ca.key").read_bytes())
    assert run(node, tmp_path, "certs", "check-expiration") == 1
    assert "put the key of /etc/kubernetes/pki/ca.crt there" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("check-expiration",), ("renew", "all"), ("renew", "apiserver")])
@pytest.mark.parametrize("folder", ["pki", "/etc/../pki"])
def test_a_folder_of_certificates_is_an_absolute_path(
    node: Context, tmp_path: Path, words: tuple[str, ...], folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with kubeadm; every certificate "could not be read", and root was told to become root."""
    assert run(node, tmp_path, "certs", *words, "--cert-dir", folder) == 3
    assert f"--cert-dir '{folder}' is not an absolute path" in capsys.readouterr().err


def test_another_root_is_named_once(node: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The paths in the lines that follow look like those of this host."""
    for words in (("certs", "renew", "apiserver"), ("certs", "check-expiration"), ("init", "phase", "etcd", "local")):
        assert run(node, tmp_path, *words) == 0
        assert capsys.readouterr().err.count(f"all paths are meant below {tmp_path}/root") == 1


def test_requests_that_were_written_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)
    where = ("--cert-dir", str(tmp_path / "pki"), "--kubeconfig-dir", str(tmp_path / "conf"))
    command = ["certs", "generate-csr", "--config", str(tmp_path / "c.yaml"), *where]
    assert run_with(command) == 0
    said = capsys.readouterr().out.replace("[generate-csr] ", "")
    found = {"pki": set[str](), "conf": set[str]()}
    for line in said.splitlines():
        if not line.startswith(" "):
            folder = Path(line.rpartition(" ")[2])
            assert folder.parent == tmp_path
        else:
            found[folder.name].update(line.strip().split(", "))
    for name, listed in found.items():
        written = {str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*") if path.is_file()}
        assert listed == written and len(listed) > 9


def test_the_command_for_requests_that_an_error_names_works_as_it_stands(
    node: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ca.key", "front-proxy-ca.key", "etcd/ca.key"):
        (tmp_path / "root/etc/kubernetes/pki" / name).unlink()
    monkeypatch.chdir(tmp_path)
    found = set()
    for words in (("renew", "all"), ("renew", "apiserver")):
        assert run(node, tmp_path, "certs", *words) in (2, 4)
        found.add(capsys.readouterr().err.rpartition("signed there: ")[2].strip().rstrip("."))
    (command,) = found
    assert command.startswith("quorate certs generate-csr ") and run_with(command.split()[1:]) == 0
    assert (tmp_path / "requests/apiserver.csr").is_file() and (tmp_path / "requests/admin.conf.csr").is_file()


def test_requests_need_no_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with kubeadm: the folders are those of a node."""
    assert run_with(["certs", "generate-csr", "--rootfs", str(tmp_path)]) == 0
    assert (tmp_path / "etc/kubernetes/pki/apiserver.csr").is_file() and (tmp_path / "etc/kubernetes/admin.conf.csr").is_file()


def test_no_request_is_written_where_one_of_them_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/scheduler.conf").write_text("")
    where = ("--cert-dir", str(tmp_path / "pki"), "--kubeconfig-dir", str(tmp_path / "conf"))
    assert run_with(["certs", "generate-csr", "--config", str(tmp_path / "c.yaml"), *where]) == 2
    said = capsys.readouterr()
    assert "conf/scheduler.conf already exists" in said.err and not said.out and not (tmp_path / "pki").exists()


def test_a_doctor_says_what_to_do_for_an_etcd_that_does_not_answer(node: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    own = local_etcd(node.tree)
    assert own is not None
    monkeypatch.setattr(doctor, "local_etcd", lambda _tree: replace(own, client_urls=("https://127.0.0.1:1",)))
    meant = replace(node, this_node=ThisNode("/srv/n2"))
    (found,) = doctor.check_etcd(meant, "")
    assert found.level == "error" and "connection refused" in found.text
    assert found.advice.startswith("crictl ps -a --name etcd ") and found.advice.endswith(
        "quorate etcd status --rootfs /srv/n2"
    )
