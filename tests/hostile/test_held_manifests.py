"""Manifests that a recovery holds: a run that is killed anywhere leaves one of the two names."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.test_reset_beside import TEXT
from quorate.errors import HostError, Refused
from quorate.phases.recover.holding import give_back, hold_in
from quorate.phases.recover.run import own_etcd
from quorate.tree import RealTree

FOLDER = "etc/kubernetes/manifests"


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


def test_a_manifest_keeps_its_mode_and_stays_a_link(tree: RealTree) -> None:
    """A copy was a file of root's with another mode, and the link was gone."""
    place, real = tree.root / FOLDER / "etcd.yaml", tree.root / "etc/kubernetes/etcd-of-the-team.yaml"
    place.rename(real)
    real.chmod(0o640)
    place.symlink_to("../etcd-of-the-team.yaml")
    hold_in(tree, "etcd")
    assert names(tree) == [".etcd.yaml"] and own_etcd(tree).data_dir
    give_back(tree, "etcd")
    assert str(place.readlink()) == "../etcd-of-the-team.yaml" and real.stat().st_mode & 0o777 == 0o640


def test_two_of_one_content_are_one(tree: RealTree) -> None:
    """As an earlier version left them that was killed in between."""
    (tree.root / FOLDER / ".etcd.yaml").write_text(TEXT)
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
