"""A reset of the only etcd member looks once more before it ends the cluster; one that was killed around a removal goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pods import Pods, serving

from quorate.errors import Refused
from quorate.foreign.taking import TAKEN
from quorate.host.cri import Runtime
from quorate.host.kubelet import Kubelet
from quorate.local import cluster
from quorate.local.home import Home
from quorate.phases.node.left_note import LEAVING, LEFT
from quorate.phases.reset import etcd
from real.rows.local_tools import must
from real.test_reset_dry_run import Node

pytestmark = pytest.mark.real

ONLY_ETCD = "--skip-phases=cleanup-node"


@pytest.fixture
def pods(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    """The runtime of the node: the pod of m1. No kubelet runs, so nobody else stops it."""

    def end(_pod: str) -> None:
        with suppress(Refused):  # once it is removed it ends by itself
            cluster.kill(home, "m1")

    monkeypatch.setattr(Kubelet, "may_run", lambda _self: False)
    made = Pods(on_stop=end)
    made.begin("etcd-m1", "uid-1")
    with serving(tmp_path / "var/run/containerd/containerd.sock", made):
        yield made


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, happens: Callable[[], object]) -> None:
    """Lets something happen once right before a function of the reset is called, as when the reset is suspended there."""
    real, waiting = getattr(etcd, name), [happens]

    def suspended(*words: object, **more: object) -> object:
        if waiting:
            waiting.pop()()
        return real(*words, **more)

    monkeypatch.setattr(etcd, name, suspended)


def notes(node: Node) -> list[str]:
    return [one for one in (LEFT, LEAVING) if (node.root / one.lstrip("/")).exists()]


@pytest.mark.parametrize("when", ["before the manifest goes", "while the pod is waited for", "when the run was killed there"])
def test_the_only_member_stays_once_another_has_joined(
    when: str, home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reset that was suspended ended it: the voter that had joined meanwhile had lost its quorum for ever."""
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)
    text = node.manifest.read_text()

    waiting = ["m2"]

    def join() -> None:
        if waiting:
            cluster.join(home, waiting.pop(), etcd36)

    def die() -> None:
        raise KeyboardInterrupt

    if when == "before the manifest goes":
        meanwhile(monkeypatch, "_note_left", join)
    else:
        pods.on_list = join
    if when == "when the run was killed there":
        with monkeypatch.context() as patched:
            patched.setattr(Runtime, "connect", lambda *_: die())
            assert node.reset(ONLY_ETCD)[0] == 130
        assert not node.manifest.exists()
    code, error, _ = node.reset(ONLY_ETCD)
    assert code == 4 and "was the only member when this run looked, and m2" in error
    assert pods.stopped == [] and node.manifest.read_text() == text and notes(node) == []
    assert len(home.look().voters) == 2 and home.look().linearizable
    code, error, out = node.reset(ONLY_ETCD)
    assert code == 0 and "Removing etcd member m1" in out, error
    assert [one.name for one in home.look().members] == ["m2"] and not node.manifest.exists()


def test_the_only_member_is_ended_where_nobody_joined(
    home: Home, pods: Pods, etcd36: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)
    assert node.reset(ONLY_ETCD)[0] == 0
    assert pods.stopped == ["etcd-m1"] and notes(node) == [LEFT], "until the whole reset ends"
    assert not list(home.layout.member("m1").data.iterdir())


def test_a_note_of_the_only_member_is_none_of_one_among_others(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It had been started again, and m2 had joined; with its manifest moved away for a while a reset took its data, and m2 had
    lost its quorum for ever."""
    cluster.up(home, 1, etcd36)
    node = Node(home, capsys)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "connect", die)
        assert node.reset(ONLY_ETCD)[0] == 130
    assert not node.manifest.exists() and notes(node) == [LEFT]
    node.write()
    cluster.join(home, "m2", etcd36)
    node.manifest.unlink()
    cluster.kill(home, "m1")
    pods.sandboxes.clear()
    before = sorted(home.layout.member("m1").data.rglob("*"))
    for flags in ((ONLY_ETCD, "--dry-run"), (ONLY_ETCD,), (ONLY_ETCD,)):
        code, error, _ = node.reset(*flags)
        assert code == 4 and "was the only member when a reset looked, and" in error and "joined since" in error
        assert sorted(home.layout.member("m1").data.rglob("*")) == before
    (node.root / LEFT.lstrip("/")).rename(node.manifest)
    assert cluster.start(home, "m1")
    code, error, out = node.reset(ONLY_ETCD)
    assert code == 0 and "Removing etcd member m1" in out, error
    assert [one.name for one in home.look().members] == ["m2"]


def test_the_only_member_that_another_one_left_is_ended(
    home: Home, pods: Pods, etcd36: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed with nothing written behind it, its log does not know that the removal is committed: it was kept for m2's sake."""
    cluster.up(home, 1, etcd36)
    cluster.join(home, "m2", etcd36)
    member = next(one for one in home.look().members if one.name == "m2")
    must(home, "member", "remove", f"{member.id:x}")
    node = Node(home, capsys)
    code, error, out = node.reset(ONLY_ETCD)
    assert code == 0 and "This is the only etcd member" in out, error
    assert not list(home.layout.member("m1").data.iterdir())


def test_an_only_member_whose_data_was_being_taken_away_goes_on(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its log was looked for where it had been."""
    cluster.up(home, 1, etcd36)
    node, data = Node(home, capsys), home.layout.member("m1").data

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(etcd, "delete_data", die)
        assert node.reset(ONLY_ETCD)[0] == 130
    (data / TAKEN).mkdir()
    (data / "member").rename(data / TAKEN / "member")
    code, error, _ = node.reset(ONLY_ETCD)
    assert code == 0 and not list(data.iterdir()), error


def test_a_first_node_whose_reset_was_killed_after_the_removal_goes_on(
    home: Home, pods: Pods, etcd36: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its etcd had ended, and its manifest names no other: each run said that the member was still listed."""
    cluster.up(home, 3, etcd36)
    node = Node(home, capsys)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(etcd, "_note_left", die)
        assert node.reset(ONLY_ETCD)[0] == 130
    pods.sandboxes.clear()
    assert notes(node) == [LEAVING] and len(home.look().members) == 2
    code, error, out = node.reset(ONLY_ETCD)
    assert code == 0 and "is not listed any more" in out, error
    assert notes(node) == [LEFT, LEAVING] and not list(home.layout.member("m1").data.iterdir())


def test_a_removal_that_is_refused_leaves_no_note(
    home: Home, pods: Pods, etcd36: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.up(home, 3, etcd36)
    node = Node(home, capsys)
    cluster.kill(home, "m2")
    assert node.reset(ONLY_ETCD)[0] == 4
    assert notes(node) == [] and node.manifest.exists() and pods.stopped == []
