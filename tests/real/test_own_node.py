"""`quorate etcd` on a control-plane node, without a flag: the node's own etcd is asked, and nothing else ever instead."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import RunCli
from own_node import make_node

from quorate.cli.main import run_with
from quorate.errors import ConfigError
from quorate.etcd.cluster import Cluster
from quorate.etcd.connect import connect
from quorate.local import cluster
from quorate.local.home import Home
from quorate.phases.node import own_etcd
from real.machines import flags_of

KEY = "etc/kubernetes/pki/etcd/healthcheck-client.key"


@pytest.fixture
def node(home: Home, etcd36: str, tmp_path: Path) -> Path:
    """A node whose etcd is the first member of a cluster of three."""
    cluster.up(home, 3, etcd36)
    return make_node(tmp_path / "node", home.load().members[0].client_url, home.layout.pki)


def using(home: Home) -> str:
    return f"using this node's etcd: {home.load().members[0].client_url}, certificates in /etc/kubernetes/pki/etcd\n"


def test_the_nodes_own_etcd_is_asked_and_that_is_said(home: Home, node: Path, cli: RunCli) -> None:
    for words in (["members"], ["status", "-o", "json"], ["health"], ["watch", "--count=1"], ["member", "list"], ["unlock"]):
        done = cli("etcd", *words, f"--rootfs={node}")
        assert done.returncode == 0 and done.stderr == using(home), words
        assert "m1" in done.stdout or words == ["unlock"]
    before_the_command = cli("etcd", f"--rootfs={node}", "members", "--command-timeout=9s", "-q", ETCDCTL_API="3")
    assert before_the_command.returncode == 0 and before_the_command.stderr == "", "a timeout names no cluster"


def test_a_change_names_the_cluster_first(home: Home, node: Path, cli: RunCli, tmp_path: Path) -> None:
    with home.access() as access:
        view = Cluster(access, home.seeds()).status()
    members = ", ".join(one.name for one in view.members)
    lines = f"{using(home)}the cluster to change is {view.cluster_id:x}, with the members {members}\n"
    want = tmp_path / "want.json"
    want.write_text(json.dumps({"members": [{"name": one.name, "peerURL": one.peer_urls[0]} for one in view.members]}))
    for words in (
        ["remove", "m3", "--dry-run"],
        ["member", "remove", "f"],
        ["plan", f"--want={want}", "--apply"],
        ["add", "m4", "--peer-urls=https://127.0.0.1:1", "--dry-run"],
        ["replace", "m3", "m4", "--peer-urls=https://127.0.0.1:1", "--dry-run"],
        ["adopt", "m2", "m2"],
        ["promote", "m2"],
        ["unlock", "removals"],
        ["move-leader", "m2"],
    ):
        done = cli("etcd", *words, f"--rootfs={node}", XDG_STATE_HOME=str(tmp_path))
        assert done.stderr.startswith(lines), (words, done.stderr)
    named = cli("etcd", "unlock", "removals", *flags_of(home), XDG_STATE_HOME=str(tmp_path))
    assert named.returncode == 0 and named.stderr == "", "who names a cluster is not told which one it is"


@contextmanager
def listener() -> Iterator[socket.socket]:
    """A port at which nobody may arrive."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        yield waiting
        waiting.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.accept()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, int]]:
    """This host as a node, without --rootfs: `/` is elsewhere. Its certificates are of no cluster."""
    monkeypatch.setattr("quorate.cli.etcd.own_node.ROOT", tmp_path / "node")
    with listener() as waiting:
        port = waiting.getsockname()[1]
        yield make_node(tmp_path / "node", f"https://127.0.0.1:{port}"), port


def spoil_key(root: Path) -> str:
    (root / KEY).unlink()
    return f"there is no /{KEY}"


def spoil_manifest(root: Path) -> str:
    file = root / own_etcd.MANIFEST.lstrip("/")
    file.unlink()
    file.mkdir()
    return f"cannot read {root}{own_etcd.MANIFEST}"


def spoil_owner(root: Path) -> str:
    (root / KEY).chmod(0o666)
    return f"/{KEY} is not used, because another user could have written it"


def spoil_tls(root: Path) -> str:
    file = root / own_etcd.MANIFEST.lstrip("/")
    file.write_text(file.read_text().replace("https://127", "http://127"))
    return "does not let etcd serve its clients with TLS"


def spoil_content(root: Path) -> str:
    return f"{root}/etc/kubernetes/pki/etcd/ca.crt holds no CERTIFICATE"


@pytest.mark.parametrize("spoil", [spoil_key, spoil_manifest, spoil_owner, spoil_tls, spoil_content])
def test_what_cannot_be_used_is_an_error_and_nobody_is_asked(
    spoil: object, here: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(spoil)
    why = spoil(here[0])
    assert run_with(["etcd", "status"]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert why in told
    assert "name a cluster with --endpoints, --cacert, --cert and --key" in told or spoil is spoil_content


@pytest.mark.parametrize(
    "given",
    [
        ["--endpoints=127.0.0.1:1"],
        ["--cacert=/nowhere/ca.crt"],
        ["--cert=/nowhere/c.crt", "--key=/nowhere/c.key"],
        ["--user=root", "--password-file=/nowhere/password"],
        {"ETCDCTL_ENDPOINTS": "127.0.0.1:1"},
        {"ETCDCTL_CACERT": "/nowhere/ca.crt"},
        {"ETCDCTL_PASSWORD": "secret", "ETCDCTL_ENDPOINTS": "127.0.0.1:1"},
        {"ETCDCTL_USER": "root:secret", "ETCDCTL_CACERT": "/nowhere/ca.crt"},
    ],
    ids=str,
)
def test_with_anything_given_nothing_is_taken_from_the_node(
    given: list[str] | dict[str, str],
    here: tuple[Path, int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in given.items() if isinstance(given, dict) else ():
        monkeypatch.setenv(name, value)
    flags = given if isinstance(given, list) else []
    for line in (["etcd", "status", *flags], ["etcd", *flags, "status"]):
        assert run_with(line) != 0
        told = capsys.readouterr().err
        assert "this node's etcd" not in told and str(here[1]) not in told
        assert "127.0.0.1:1:" in told or "/nowhere/" in told


def test_a_node_without_an_etcd_of_its_own_asks_etcdctls_default(
    here: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """As with an external etcd."""
    (here[0] / own_etcd.MANIFEST.lstrip("/")).unlink()
    code = run_with(["etcd", "status"])
    told = capsys.readouterr().err
    assert "this node's etcd" not in told and (code == 0 or "127.0.0.1:2379" in told)


def test_a_rootfs_is_never_ignored(tmp_path: Path, node: Path, cli: RunCli) -> None:
    none = cli("etcd", "status", f"--rootfs={tmp_path}/nowhere")
    assert none.returncode == 3 and "there is no /etc/kubernetes/manifests/etcd.yaml below" in none.stderr
    both = cli("etcd", "status", f"--rootfs={node}", ETCDCTL_ENDPOINTS="127.0.0.1:1")
    assert both.returncode == 3 and "leave one out" in both.stderr


def test_the_command_for_etcdctl_has_the_nodes_flags(home: Home, node: Path, cli: RunCli) -> None:
    done = cli("etcd", f"--rootfs={node}", "get", "/key")
    pki = f"{node}/etc/kubernetes/pki/etcd"
    flags = f"--endpoints={home.load().members[0].client_url} --cacert={pki}/ca.crt --cert={pki}/healthcheck-client.crt"
    assert f"etcdctl get /key {flags} --key={pki}/healthcheck-client.key" in done.stderr
    named = cli("etcd", f"--rootfs={node}", "get", "/key", ETCDCTL_ENDPOINTS="127.0.0.1:1")
    assert "--cacert" not in named.stderr


def test_the_library_has_no_default(here: tuple[Path, int]) -> None:
    with pytest.raises(ConfigError, match="no endpoint was given"), connect([]):
        pass
