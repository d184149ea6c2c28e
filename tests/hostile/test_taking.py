"""What is taken away, looked at and deleted: always the folder that was opened, never what is newer, and nothing beside it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.test_reset import Node, as_root
from quorate.errors import HostError
from quorate.foreign import aside, kernel, taking
from quorate.foreign.aside import meant_for, remove_if, sweep
from quorate.foreign.content import content_of, ids_below
from quorate.foreign.places import NOT_KNOWN, Stamp, stamp_at
from quorate.foreign.taking import JUDGED, TAKEN, settle, take, take_named
from quorate.phases.reset import cleanup
from quorate.tree import RealTree


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made_node = Node(tmp_path / "n")
    yield made_node
    for place in made_node.mounts:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("when", ["before the first look", "before the second"])
def test_a_folder_that_was_moved_away_is_looked_at_where_it_is(tmp_path: Path, when: str) -> None:
    """It was looked at by its path, so as "nothing is there", and deleted by its descriptor: a restored snapshot was gone."""
    folder = made(tmp_path / "etcd", "member")
    looks: list[str] = []

    def is_meant(there: Path) -> bool:
        looks.append("")
        if len(looks) == (1 if when == "before the first look" else 2):
            folder.rename(tmp_path / "moved")
        # What is looked at is still the folder that was opened: there is no other.
        return not (there / "member").exists()

    if when == "before the second":
        assert not take(str(folder), lambda there: is_meant(there) or len(looks) == 1)
    else:
        assert not take(str(folder), is_meant)
    assert files(tmp_path / "moved") == {"member": "member"} and not (tmp_path / "moved" / TAKEN).exists()


def test_a_newer_file_stays_and_what_cannot_be_given_back_is_named(tmp_path: Path) -> None:
    """The old manifest was renamed over the one that kubeadm had written in that moment."""
    folder = made(tmp_path / "manifests", "kube-scheduler.yaml", "kube-apiserver.yaml")

    def is_meant(there: Path) -> bool:
        if there == taking.path_of(int(there.name)) and (folder / TAKEN).exists():
            (folder / "kube-scheduler.yaml").write_text("new")
            return False
        return True

    with pytest.raises(HostError, match=r"\.quorate-taken holds kube-scheduler\.yaml, taken away to be looked at"):
        take(str(folder), is_meant)
    assert files(folder) == {
        "kube-scheduler.yaml": "new",
        "kube-apiserver.yaml": "kube-apiserver.yaml",
        f"{TAKEN}/kube-scheduler.yaml": "kube-scheduler.yaml",
    }


@pytest.mark.parametrize("has", ["renameat2", "links", "neither"])
def test_no_way_to_give_a_name_replaces_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    if has != "renameat2":
        monkeypatch.setattr(kernel, "_libc", object)
    if has == "neither":
        monkeypatch.setattr(os, "link", refuse)
    made(tmp_path, "a", "b")
    folder = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(FileExistsError):
            kernel.rename_new("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
        kernel.rename_new("a", "c", src_dir_fd=folder, dst_dir_fd=folder)
        with pytest.raises(FileNotFoundError):
            kernel.rename_new("a", "d", src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)
    assert files(tmp_path) == {"b": "b", "c": "a"}


def test_only_what_was_named_is_deleted(tmp_path: Path) -> None:
    """A file that came between the list of what was to stay and the deletion was deleted with the rest."""
    folder = made(tmp_path / "d", "member/wal", "before.db")
    looks: list[list[str]] = []

    def is_meant(there: Path) -> bool:
        made(folder, f"new{len(looks)}")
        looks.append(sorted(os.listdir(there)))
        return True

    assert take_named(str(folder), ["member"], is_meant)
    assert sorted(files(folder)) == ["before.db", "new0", "new1"] and looks[1] == ["member"]


def test_an_empty_folder_is_not_looked_at(tmp_path: Path) -> None:
    """Nothing would be deleted, so "nothing is there" never means that something may be."""

    def refuse(_: Path) -> bool:
        raise AssertionError("there is nothing to look at")

    assert take(str(tmp_path), refuse) and take(str(tmp_path / "missing"), refuse)
    assert take_named(str(tmp_path), ["member"], refuse)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EXDEV])
@pytest.mark.parametrize("meant", [True, False])
def test_what_cannot_be_moved_is_looked_at_and_deleted_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, meant: bool
) -> None:
    """On a full disk, and in the lower layer of an overlay, nothing was deleted, keys neither."""
    folder = made(tmp_path / "pki", "a.key", "b/c.key")

    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir" if number == errno.ENOSPC else "rename", full)
    looks: list[list[str]] = []

    def is_meant(there: Path) -> bool:
        looks.append(sorted(set(os.listdir(there)) - {TAKEN}))
        return meant or len(looks) == 1

    assert take(str(folder), is_meant) is meant
    assert looks == [["a.key", "b"]] * 2, "the last look is on the whole, directly before the deletion"
    assert sorted(files(folder)) == ([] if meant else ["a.key", "b/c.key"]) and not (folder / TAKEN).exists()


@as_root
def test_the_lower_layer_of_an_overlay_is_reset(node: Node) -> None:
    low, up, work = (node.root / name for name in ("low", "up", "work"))
    made(low, "var/lib/kubelet/config.yaml", "etc/kubernetes/pki/etcd/ca.key", "etc/kubernetes/admin.conf")
    (low / "var/lib/kubelet/config.yaml").write_text("kind: KubeletConfiguration\n")
    up.mkdir()
    work.mkdir()
    layers = f"lowerdir={low},upperdir={up},workdir={work},redirect_dir=off"
    place = node.root / "over"
    place.mkdir()
    mount = ["mount", "-t", "overlay", "overlay", "-o", layers, str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no overlay can be mounted here")
    node.mounts.append(place)
    run = node.reset(force=True, ignore_preflight_errors=["all"])
    run.tree = RealTree(place)
    cleanup.clean_up(run)
    assert files(place) == {}


def test_what_a_killed_run_had_looked_at_is_deleted_and_the_rest_given_back(tmp_path: Path) -> None:
    made(tmp_path, f"{JUDGED}/member/db", f"{TAKEN}/wal", "db")
    settle(str(tmp_path))
    assert files(tmp_path) == {"db": "db", "wal": f"{TAKEN}/wal"}


def test_a_part_that_a_killed_run_had_taken_is_looked_at_with_the_whole(tmp_path: Path) -> None:
    """By its part alone it is not what was meant: half of it in its place, half of it away was never deleted."""
    folder = made(tmp_path, f"{TAKEN}/before.db", "member")
    assert take_named(str(folder), ["before.db", "member"], lambda there: (there / "member").exists())
    assert files(folder) == {}


KILLED = """
import os, signal, sys
from pathlib import Path
from quorate.foreign import aside
from quorate.foreign.places import stamp_at
aside._judge = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder = os.open(sys.argv[1], os.O_RDONLY)
aside.remove_if(folder, "admin.conf", stamp_at("admin.conf", dir_fd=folder))
"""


def test_a_key_that_a_killed_deletion_had_put_away_is_deleted_by_the_next(node: Node) -> None:
    """`.admin.conf.39b6729d` with the key of a cluster's admin stayed, and nothing named it."""
    folder = made(
        node.root / "etc/kubernetes", "admin.conf", "pki/.ca.key.quorate-0123abcd", "pki/etcd/.ca.key.quorate-0123abcd"
    )
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = [path.name for path in folder.iterdir() if path.is_file()]
    assert meant_for(left) == "admin.conf" and left.startswith(".admin.conf.quorate-")
    # Of the certificates' folder only certificates are deleted, and what was left there of them.
    cleanup.clean_up(node.reset(certificates_dir="/etc/kubernetes/pki", force=True, ignore_preflight_errors=["all"]))
    assert [name for name in files(node.root) if not name.startswith("usr/")] == []


def put_away(folder: Path, name: str) -> Path:
    """The file as a deletion that was killed leaves it."""
    seen = stamp_at(folder / name)
    assert seen is not None
    return (folder / name).rename(folder / f".{name}.quorate-{aside._digits_of(seen)}")


def swept(folder: Path) -> list[str]:
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        return sweep(fd)
    finally:
        os.close(fd)


def test_a_sweep_gives_back_what_was_put_away_and_was_not_meant(tmp_path: Path) -> None:
    left = put_away(made(tmp_path, "ca.key"), "ca.key")
    left.unlink()
    left.write_text("of another program")
    assert swept(tmp_path) == [] and files(tmp_path) == {"ca.key": "of another program"}
    left.write_text("older")
    assert swept(tmp_path) == [left.name], "a newer file has its name"
    assert files(tmp_path) == {"ca.key": "of another program", left.name: "older"}


def test_a_sweep_takes_nothing_of_a_deletion_that_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, "ca.key") / "ca.key"
    seen, judge, during = stamp_at(path), aside._judge, list[list[str]]()
    assert seen is not None

    def judged(*words: object) -> bool:
        assert swept(tmp_path) == []
        during.append(os.listdir(tmp_path))
        return judge(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(aside, "_judge", judged)
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert remove_if(folder, "ca.key", seen)
    finally:
        os.close(folder)
    assert len(during[0]) == 1 and os.listdir(tmp_path) == []


def test_of_two_newer_files_none_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One came between look and deletion, another while the first was looked at."""
    path = made(tmp_path, "etcd.yaml") / "etcd.yaml"
    seen, real = stamp_at(path), kernel.rename_new
    assert seen is not None

    def meanwhile(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if source == path.name:
            path.unlink()
            path.write_text("first")
        else:
            path.write_text("second")
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(aside, "rename_new", meanwhile)
    with pytest.raises(HostError, match="a newer file has that name: both were left"):
        RealTree(tmp_path).remove_if("/etcd.yaml", seen)
    assert sorted(files(tmp_path).values()) == ["first", "second"]


def test_a_file_that_cannot_be_moved_is_looked_at_again_and_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, "admin.conf") / "admin.conf"
    seen = stamp_at(path)
    assert seen is not None

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def replaced(*_: object, **__: object) -> None:
        path.unlink()
        path.write_text("new")
        full()

    monkeypatch.setattr(aside, "rename_new", replaced)
    with pytest.raises(HostError, match="was written by another program"):
        RealTree(tmp_path).remove_if("/admin.conf", seen)
    monkeypatch.setattr(aside, "rename_new", full)
    seen = stamp_at(path)
    assert seen is not None
    RealTree(tmp_path).remove_if("/admin.conf", seen)
    assert not path.exists()


def test_an_inode_that_is_used_again_is_another_file(tmp_path: Path) -> None:
    folder = tmp_path / "member"
    stamps: list[Stamp | None] = []
    for _ in range(3):
        folder.mkdir()
        stamps.append(stamp_at(folder))
        folder.rmdir()
    assert len(set(stamps)) == 3
    (tmp_path / "a").mkdir()
    before = stamp_at(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert stamp_at(tmp_path / "b") == before, "a rename keeps it"


def test_a_stamp_of_a_record_without_a_birth_equals_none(tmp_path: Path) -> None:
    seen = stamp_at(made(tmp_path, "a") / "a")
    assert seen is not None and seen.born_ns != NOT_KNOWN
    assert Stamp(seen.device, seen.inode, seen.modified_ns, seen.size) != seen


def test_where_nothing_knows_the_birth_the_rest_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_libc", object)
    seen = stamp_at(made(tmp_path, "a") / "a")
    assert seen is not None and seen.born_ns == 0 and stamp_at(tmp_path / "a") == seen


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_only_has_the_name_of_what_was_taken_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_text("x")
    other, place = tmp_path / "other", tmp_path / TAKEN
    other.mkdir()
    if kind == "file":
        place.write_text("not ours")
    else:
        place.symlink_to(other)
    with pytest.raises(HostError, match=rf"{TAKEN} in it is no folder, and not of this tool: move it away"):
        take(str(tmp_path), lambda _: True)
    assert (tmp_path / "x").exists() and place.is_symlink() == (kind == "link")


@pytest.mark.parametrize(("depth", "letters"), [(1200, 1), (60, 100)])
def test_what_is_deep_is_looked_at(tmp_path: Path, depth: int, letters: int) -> None:
    """A pod's emptyDir ended a whole reset: too deep for Python, or longer than a path may be."""
    where = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d" * letters, dir_fd=where)
        inner = os.open("d" * letters, os.O_RDONLY | os.O_DIRECTORY, dir_fd=where)
        os.close(where)
        where = inner
    bottom = os.fstat(where)
    os.close(where)
    try:
        assert f"{bottom.st_dev}:{bottom.st_ino}" in ids_below(tmp_path) and len(content_of(tmp_path)) == depth
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / ("d" * letters))], check=True)
