"""Manifests that a recovery holds: a run that is killed anywhere leaves one of the two names, or both with the same content."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.test_reset_beside import TEXT
from quorate.errors import Refused
from quorate.phases.node.static_pods import hold_in, publish_in
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
    publish_in(tree, ("etcd",))
    assert names(tree) == ["etcd.yaml"] and tree.read(f"/{FOLDER}/etcd.yaml") == TEXT.encode()


def test_one_that_is_killed_in_between_goes_on(tree: RealTree, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_tree: RealTree, _path: str) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(RealTree, "remove", killed)
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
