"""A control-plane node that is a standby: what is held back there is started when its etcd is a voter, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.etcd.autopilot.own_node import OwnNode, is_stacked
from quorate.etcd.client.errors import Unavailable
from quorate.host.etcd_identity import DataIdentity
from quorate.phases.node.static_pods import manifest_path, staged_path
from quorate.phases.start import staged_start
from quorate.phases.start.standby_node import StandbyNode
from quorate.phases.start.wait_healthy import API_SERVER
from quorate.report import Event, Notice
from quorate.tree import RealTree
from unit.views import CLUSTER, member, view

LEARNER = view(3, member(9, learner=True))
VOTER = view(3, member(9))


OWN = DataIdentity(9, CLUSTER)


@dataclass
class Store:
    """Counts what an instance says of its node."""

    prepared: list[int] = field(default_factory=list)
    fails: bool = False

    def say_prepared(self, member_id: int) -> None:
        if self.fails:
            raise Unavailable("no leader")
        self.prepared.append(member_id)


@dataclass
class Node:
    owner: DataIdentity | None = OWN
    waiting: bool = True
    released: int = 0

    def member(self) -> DataIdentity | None:
        return self.owner

    def is_waiting(self) -> bool:
        return self.waiting

    def release(self) -> Sequence[str]:
        self.released += 1
        return (API_SERVER,)


class Clock(SystemClock):
    ahead = 0.0

    def now(self) -> float:
        return 1000.0 + self.ahead


@pytest.fixture
def said() -> list[str]:
    return []


def own(node: Node, said: list[str]) -> tuple[OwnNode, Clock]:
    clock = Clock()

    def report(event: Event | Notice) -> None:
        assert isinstance(event, Notice)
        said.append(event.text)

    return OwnNode(node, clock, report, "reset it, and join it again"), clock


def test_a_learner_is_prepared_again_and_again_and_starts_nothing(said: list[str]) -> None:
    node, store = Node(), Store()
    attending, clock = own(node, said)
    for _ in range(12):
        attending.attend(LEARNER, store)  # type: ignore[arg-type]
        clock.ahead += 1
    assert store.prepared == [9, 9] and node.released == 0 and said == []


def test_a_voter_starts_what_is_held_back(said: list[str]) -> None:
    node, store = Node(), Store()
    attending, _ = own(node, said)
    attending.attend(VOTER, store)  # type: ignore[arg-type]
    assert node.released == 1 and said == ["this node's etcd is a voter: started kube-apiserver"] and store.prepared == []
    node.waiting = False
    attending.attend(VOTER, store)  # type: ignore[arg-type]
    assert node.released == 1


def test_a_learner_with_nothing_held_back_is_not_prepared(said: list[str]) -> None:
    """A plain etcd on a node: no API server would follow its vote."""
    store = Store()
    attending, _ = own(Node(waiting=False), said)
    attending.attend(LEARNER, store)  # type: ignore[arg-type]
    assert store.prepared == []


@pytest.mark.parametrize(
    ("owner", "word"),
    [
        (DataIdentity(7, CLUSTER), "was removed from the cluster: reset it, and join it again"),
        (DataIdentity(9, CLUSTER + 1), "nothing is started here"),
        (None, ""),
    ],
)
def test_what_is_not_of_this_cluster_starts_nothing(owner: DataIdentity | None, word: str, said: list[str]) -> None:
    node, store = Node(owner), Store()
    attending, _ = own(node, said)
    for _ in range(3):
        attending.attend(VOTER, store)  # type: ignore[arg-type]
    assert node.released == 0 and store.prepared == []
    assert [word in one for one in said] == ([True] if word else []), "once"


def test_a_file_that_cannot_be_read_is_said_and_etcd_that_cannot_be_asked_is_raised(said: list[str]) -> None:
    class Unread(Node):
        def member(self) -> DataIdentity | None:
            raise HostError("no such file")

    attending, _ = own(Unread(), said)
    attending.attend(VOTER, Store())  # type: ignore[arg-type]
    assert "no such file" in said[0]
    attending, _ = own(Node(), said)
    with pytest.raises(Unavailable):
        attending.attend(LEARNER, Store(fails=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setup", "stacked"),
    [
        (None, False),
        (b"k8s\x00\n\nClusterConfiguration\x12apiVersion: v4\netcd:\n  local:\n    dataDir: /var/lib/etcd\nkind: x\n", True),
        (b"apiServer: {}\netcd:\n  external:\n    endpoints:\n    - https://10.0.0.9:2379\nkind: x\n", False),
        (b"etcd:\n  caFile: x\n  external:\n    endpoints: []\n", False),
        # Of another mapping, or a text: this one is stacked.
        (b"etcd:\n  local:\n    dataDir: /x\nnetworking:\n  external: no\n", True),
        (b"k8s:enc:aescbc:v1:key1:\x00\xff\x13", True),
        (b"", True),
    ],
)
def test_which_control_planes_are_stacked(setup: bytes | None, stacked: bool) -> None:
    assert is_stacked(setup) is stacked


# -- the files of the node ---------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/kubernetes/manifests").mkdir(parents=True)
    for name in (API_SERVER, *staged_start.NAMES):
        (tmp_path / staged_path(name).lstrip("/")).write_text(f"name: {name}\n")
    return tmp_path


def started(root: Path) -> set[str]:
    names = (API_SERVER, *staged_start.NAMES)
    return {name for name in names if (root / manifest_path(name).lstrip("/")).exists()}


def test_the_api_server_starts_first_and_the_others_once_it_lets_them_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = StandbyNode(RealTree(root), Clock())
    monkeypatch.setattr(StandbyNode, "_is_let_in", lambda _: False)
    assert node.is_waiting() and node.release() == (API_SERVER,) and started(root) == {API_SERVER}
    assert node.release() == () and started(root) == {API_SERVER}
    monkeypatch.setattr(StandbyNode, "_is_let_in", lambda _: True)
    assert node.release() == staged_start.NAMES and not node.is_waiting()
    assert started(root) == {API_SERVER, *staged_start.NAMES}
    assert not [one for one in (root / "etc/kubernetes/manifests").iterdir() if one.name.startswith(".")]


def test_without_an_answer_they_start_after_a_while(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(StandbyNode, "_is_let_in", lambda _: False)
    StandbyNode(RealTree(root), clock).release()
    # Another process, after the first one was killed.
    node = StandbyNode(RealTree(root), clock)
    assert node.release() == ()
    clock.ahead += 121
    assert node.release() == staged_start.NAMES


def test_without_a_manifest_of_etcd_it_is_nobodys(root: Path) -> None:
    assert StandbyNode(RealTree(root), Clock()).member() is None
