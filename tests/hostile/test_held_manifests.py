"""Manifests that a recovery holds: a run that is killed anywhere leaves one of the two names, or both with the same content."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.test_reset_beside import TEXT
from quorate.errors import HostError, Refused
from quorate.phases.recover.holding import give_back, hold_in
from quorate.phases.recover.run import own_etcd
from quorate.tree import RealTree

FOLDER = "etc/kubernetes/manifests"


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture
def tree(tmp_path: Path) -> RealTree:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "etcd.yaml").write_text(TEXT)
    return RealTree(tmp_path)


def names(tree: RealTree) -> list[str]:
    return sorted(tree.names(f"/{FOLDER}"))


def test_a_manifest_is_held_and_comes_back_as_it_was(tree: RealTree) -> None:
    hold_in(tree, "etcd")
    assert names(tree) == [".etcd.yaml"]
    assert own_etcd(tree).data_dir
    give_back(tree, "etcd")
    assert names(tree) == ["etcd.yaml"] and tree.read(f"/{FOLDER}/etcd.yaml") == TEXT.encode()


def test_one_that_is_killed_in_between_goes_on(tree: RealTree, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_tree: RealTree, _path: str, _seen: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(RealTree, "remove_if", killed)
        with pytest.raises(Killed):
            hold_in(tree, "etcd")
    assert names(tree) == [".etcd.yaml", "etcd.yaml"]
    hold_in(tree, "etcd")
    assert names(tree) == [".etcd.yaml"]


@pytest.mark.parametrize("text", ["", TEXT.replace("hostPath", "emptyDir")])
def test_a_node_whose_data_is_not_known_is_refused(tree: RealTree, text: str) -> None:
    (tree.root / FOLDER / "etcd.yaml").unlink()
    if text:
        (tree.root / FOLDER / "etcd.yaml").write_text(text)
    with pytest.raises(Refused, match=r"no etcd as a static pod|where all of etcd's data is"):
        own_etcd(tree)


def test_a_manifest_that_somebody_wrote_meanwhile_is_not_overwritten(tree: RealTree) -> None:
    hold_in(tree, "etcd")
    other = f"{TEXT}# of another program\n".encode()
    (tree.root / FOLDER / "etcd.yaml").write_bytes(other)
    for step in (hold_in, give_back):
        with pytest.raises(HostError, match=r"are both there, and differ"):
            step(tree, "etcd")
    assert tree.read(f"/{FOLDER}/etcd.yaml") == other and tree.read(f"/{FOLDER}/.etcd.yaml") == TEXT.encode()
