"""Notes of resets that were cut off, on real etcd: none is believed of a member that counts by now."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import engine
from pods import Pods

from quorate.host import ports
from quorate.host.cri import Runtime
from quorate.host.etcd_identity import member_owner
from quorate.host.member_data import NOTHING_SEEN
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline.look import look
from quorate.phases.node import left_note
from quorate.phases.node.left_note import LEAVING, LEFT
from quorate.phases.node.local_etcd import local_etcd
from quorate.tree import RealTree
from real.rows.local_tools import must
from real.rows.processes import until
from real.test_reset_dry_run import Node
from real.test_reset_last_look import ONLY_ETCD, notes, pods

__all__ = ["pods"]
pytestmark = pytest.mark.real


@pytest.fixture
def started(home: Home) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Etcds that somebody starts by hand; they are ended."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for one in made:
        one.kill()
        one.wait()


def die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def cut_off(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset that is killed once its note is written and the manifest gone."""
    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "connect", die)
        assert node.reset(ONLY_ETCD)[0] == 130
    assert LEFT in notes(node)


def words_of(home: Home, name: str) -> list[str]:
    """The command line of a member that runs."""
    data = home.layout.member(name).data
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except OSError:
            continue
        if f"--data-dir={data}" in words:
            return [one for one in words if one]
    raise AssertionError(f"no etcd runs on {data}")


def set_aside(node: Node, pods: Pods) -> None:
    """The operator stops the pod for a while: its manifest is moved away."""
    node.manifest.rename(node.root / "etcd.yaml.aside")
    pods.sandboxes.clear()


def data_of(home: Home) -> list[str]:
    return sorted(one.name for one in home.layout.member("m1").data.iterdir() if not one.name.startswith("."))


def test_an_old_note_and_a_new_seal_are_no_note(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed between the two, a reset left the seal of today's member beside the note of one that had left."""
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)
    tree, data = RealTree(node.root), home.layout.member("m1").data
    found = local_etcd(tree)
    assert found is not None
    left_note.note_left(tree, found, NOTHING_SEEN, "left", "/cluster/pki")
    (data / ".quorate-left").unlink()
    real = RealTree.write

    def write(self: RealTree, path: str, content: bytes, *, mode: int = 0o600) -> None:
        if path == LEFT:
            die()
        real(self, path, content, mode=mode)

    with monkeypatch.context() as patched:
        patched.setattr(RealTree, "write", write)
        assert node.reset(ONLY_ETCD)[0] == 130
    cluster.join(home, "m2", etcd36)
    set_aside(node, pods)
    cluster.kill(home, "m1")
    _, error, out = node.reset(ONLY_ETCD)
    assert "resuming" not in out and data_of(home) == ["member"], error
    assert cluster.start(home, "m1") and home.look().linearizable


def test_a_removal_that_was_not_committed_makes_nobody_the_only_one(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """m2 hung, and its removal got no majority; the last configuration of m1's log was that of m1 alone."""
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)
    cut_off(node, monkeypatch)
    node.write()
    cluster.join(home, "m2", etcd36)
    m2 = next(one for one in home.look().members if one.name == "m2")
    wal = home.layout.member("m1").data
    time.sleep(6)  # etcd refuses changes until all have been connected for 5 s
    cluster.pause(home, "m2")
    port, pki = next(row for row in home.load().members if row.name == "m1").client_port, home.layout.pki
    tls = (f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key")
    asked = [engine("etcdctl"), f"--endpoints=https://127.0.0.1:{port}", "--command-timeout=2s", *tls]
    assert subprocess.run([*asked, "member", "remove", f"{m2.id:x}"], capture_output=True, check=False).returncode != 0
    cluster.kill(home, "m1")
    assert len(look(wal).seen[-1].voters) == 1, "the removal is in its log"
    cluster.resume(home, "m2")
    set_aside(node, pods)
    for flags in ((ONLY_ETCD, "--dry-run"), (ONLY_ETCD,)):
        code, error, _ = node.reset(*flags)
        assert code == 4 and "joined since" in error and data_of(home) == ["member"]


@pytest.mark.parametrize("damage", ["a byte", "a sector"])
def test_a_log_that_is_damaged_says_nothing_of_who_joined(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """In front of the entry with which m2 had joined: what was read before it showed m1 alone."""
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)
    cut_off(node, monkeypatch)
    node.write()
    wal = min((home.layout.member("m1").data / "member/wal").glob("*.wal"))
    end = len(wal.read_bytes().rstrip(b"\0"))
    end += -end % 8
    cluster.join(home, "m2", etcd36)
    cluster.kill(home, "m1")
    set_aside(node, pods)
    with wal.open("r+b") as file:
        file.seek(end)
        content = file.read(512 - end % 512)
        file.seek(end)
        file.write(bytes(len(content)) if damage == "a sector" else content[:7] + bytes([content[7] ^ 1]) + content[8:])
    code, error, _ = node.reset(ONLY_ETCD)
    assert code == 4 and data_of(home) == ["member"], error


def test_a_member_that_was_recovered_since_counts(
    home: Home,
    pods: Pods,
    etcd36: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: list[subprocess.Popen[bytes]],
) -> None:
    """A backup was copied over its files, which keeps the folders, and --force-new-cluster keeps the ids."""
    cluster.up(home, 1, etcd36)
    cluster.join(home, "m2", etcd36)
    node, data = Node(home, capsys), home.layout.member("m1").data
    words = words_of(home, "m1")
    cluster.kill(home, "m1")
    shutil.copytree(data, data.parent / "backup")
    assert cluster.start(home, "m1")
    time.sleep(6)  # etcd refuses changes until all have been connected for 5 s
    cut_off(node, monkeypatch)
    until(lambda: not _runs(home, "m1"))
    cluster.kill(home, "m2")
    for path in sorted((data / "member").rglob("*")):
        if path.is_file():
            path.unlink()
    shutil.copytree(data.parent / "backup", data, dirs_exist_ok=True)
    node.write()
    started.append(subprocess.Popen([*words, "--force-new-cluster"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    until(lambda: len(look(data).seen[-1].voters) == 1)
    started[0].send_signal(signal.SIGTERM)
    started[0].wait()
    set_aside(node, pods)
    for flags in ((ONLY_ETCD, "--dry-run"), (ONLY_ETCD,)):
        _, error, out = node.reset(*flags)
        assert "resuming" not in out and data_of(home) == ["member"], error


def _runs(home: Home, name: str) -> bool:
    try:
        words_of(home, name)
    except AssertionError:
        return False
    return True


def test_what_had_left_and_had_not_ended_is_asked_about_again(
    home: Home,
    pods: Pods,
    etcd36: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: list[subprocess.Popen[bytes]],
) -> None:
    """m1 was down when the others removed it, and never learned of that; the others were lost, and it was made the only one.
    A snapshot of raft hid that from whoever read its log."""
    cluster.up(home, 3, etcd36)
    node, data = Node(home, capsys), home.layout.member("m1").data
    words, owner = words_of(home, "m1"), member_owner(data)
    assert owner is not None
    urls = [url for one in home.look().members if one.id != owner.member_id for url in one.client_urls]
    cluster.kill(home, "m1")
    note = {"member": f"{owner.member_id:x}", "cluster": f"{owner.cluster_id:x}", "urls": urls}
    (node.root / LEAVING[1:]).write_text(json.dumps(note))
    time.sleep(6)  # etcd refuses changes until all have been connected for 5 s
    cut_off(node, monkeypatch)
    for name in ("m2", "m3"):
        cluster.kill(home, name)
    started.append(
        subprocess.Popen(
            [*words, "--force-new-cluster", "--snapshot-count=2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    )
    until(lambda: list((data / "member/snap").glob("*.snap")))
    started[0].send_signal(signal.SIGTERM)
    started[0].wait()
    node.write()
    set_aside(node, pods)
    for flags in ((ONLY_ETCD, "--dry-run"), (ONLY_ETCD,)):
        code, error, _ = node.reset(*flags)
        assert code == 4 and "could not be removed" in error and data_of(home) == ["member"], error


def test_the_only_member_that_left_another_cluster_since_is_no_more_in_the_way(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """m2 had joined, and somebody removed m1: there was no way on but to abandon it."""
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)
    cut_off(node, monkeypatch)
    node.write()
    cluster.join(home, "m2", etcd36)
    m1 = next(one for one in home.look().members if one.name == "m1")
    time.sleep(6)  # etcd refuses changes until all have been connected for 5 s
    must(home, "member", "remove", f"{m1.id:x}")
    until(lambda: not _runs(home, "m1"))
    set_aside(node, pods)
    code, error, _ = node.reset(ONLY_ETCD)
    assert code == 0 and data_of(home) == [], error
    assert [one.name for one in home.look().members] == ["m2"]


def test_an_old_note_of_whom_to_ask_leads_to_no_other_cluster(
    home: Home,
    pods: Pods,
    etcd36: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    started: list[subprocess.Popen[bytes]],
) -> None:
    """Its URL serves another cluster by now: the reset ended with 'the endpoints lead to two clusters', for ever."""
    cluster.up(home, 1, etcd36)
    node, data = Node(home, capsys), home.layout.member("m1").data
    owner = member_owner(data)
    assert owner is not None
    row = next(one for one in home.load().members if one.name == "m1")
    client, peer = ports.reserve(2, tmp_path / "ports")
    named = {str(data): str(tmp_path / "other"), str(row.client_port): str(client), str(row.peer_port): str(peer)}
    words = words_of(home, "m1")
    for old, new in named.items():
        words = [one.replace(old, new) for one in words]
    started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    until(lambda: member_owner(tmp_path / "other") is not None)
    fields = {"member": f"{owner.member_id:x}", "cluster": f"{owner.cluster_id:x}", "urls": [f"https://127.0.0.1:{client}"]}
    (node.root / LEAVING[1:]).write_text(json.dumps(fields))
    code, error, _ = node.reset(ONLY_ETCD)
    assert code == 0 and data_of(home) == [], error
