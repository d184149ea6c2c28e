"""Directories of local clusters: etcd writes its log where the cluster is, or the directory is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import RunCli, kill_everything

from quorate.errors import ConfigError
from quorate.local import cluster
from quorate.local.home import Home
from quorate.local.layout import Layout

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Path]:
    """A folder for clusters, which are killed at the end."""
    yield tmp_path
    for folder in [folder for folder in tmp_path.iterdir() if folder.is_dir()]:
        kill_everything(Home(Layout(folder)))
        shutil.rmtree(folder, ignore_errors=True)


def test_every_other_character_is_fine(beside: Path, any_etcd: str) -> None:
    """In one path, because each is read in the same way; on each etcd."""
    home = Home(Layout(beside / "a :[^]ü\\\"'+;@=&|{}<>`$*~!"))
    cluster.up(home, 1, any_etcd)
    assert home.layout.member("m1").log.stat().st_size > 0
    assert cluster.down(home, purge=True) == ["m1"]
    assert list(beside.iterdir()) == []


@pytest.mark.parametrize("name", ["q%41z", "q%zz", "q?z", "q#z", "q,z", "q\tz", "q\nz", "q\x7fz"])
def test_a_path_that_etcd_reads_as_another_one_is_refused_before_anything_is_there(
    beside: Path, etcd36: str, name: str
) -> None:
    home = Home(Layout(beside / name))
    with pytest.raises(ConfigError, match="reads the path of its log as a URL"):
        cluster.up(home, 1, etcd36)
    assert list(beside.iterdir()) == []


def test_a_cluster_that_was_moved_to_such_a_path_is_not_started_there(beside: Path, etcd36: str) -> None:
    home = Home(Layout(beside / "fine"))
    cluster.up(home, 1, etcd36)
    cluster.down(home)
    moved = Home(Layout(home.layout.root.rename(beside / "q%41z")))
    for verb in (lambda: cluster.start(moved, "m1"), lambda: cluster.join(moved, "m2"), lambda: cluster.up(moved)):
        with pytest.raises(ConfigError, match="as a URL"):
            verb()
    assert {folder.name for folder in beside.iterdir()} == {"q%41z"}
    cluster.down(moved, purge=True)
    assert list(beside.iterdir()) == []


def test_a_cluster_without_its_file_is_named_as_one(beside: Path, etcd36: str, cli: RunCli) -> None:
    """It was "no local cluster", which `up` was to make, and for `up` the directory of somebody else."""
    home = Home(Layout(beside / "it is here"))
    cluster.up(home, 2, etcd36)
    pids = [process.pid for name in ("m1", "m2") if (process := home.daemon(name).identity())]
    saved = home.layout.state.read_bytes()
    home.layout.state.unlink()
    verbs: list[Callable[[], object]] = [lambda: cluster.up(home), lambda: cluster.down(home, purge=True), home.load]
    for verb in verbs:
        with pytest.raises(ConfigError, match=r"cluster\.json is gone") as failed:
            verb()
        assert failed.value.state == f"its etcds run: m1 (pid {pids[0]}), m2 (pid {pids[1]})"
    assert "cluster.json is gone" in cli("local", "list").stdout
    home.layout.state.write_bytes(saved)
    assert cluster.up(home).restarted == ()
    home.layout.state.unlink()
    subprocess.run(failed.value.advice.rpartition(": ")[2], shell=True, check=True)
    with pytest.raises(ConfigError, match="there is no local cluster"):
        home.load()
    assert [one.name for one in cluster.up(home, 1).view.members] == ["m1"]


def test_a_directory_of_others_is_not_taken_for_a_cluster_without_its_file(beside: Path, etcd36: str) -> None:
    home = Home(Layout(beside / "theirs"))
    (home.layout.members / "anna").mkdir(parents=True)
    with pytest.raises(ConfigError, match="not the directory of a local cluster"):
        cluster.up(home, 1, etcd36)
