"""Files and folders of others: no link of theirs is followed, no mount is entered, nothing of theirs is believed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.cli.main import run_with
from quorate.errors import HostError
from quorate.files import make_folder, private_folder, remove_tree
from quorate.foreign import deletion, taking
from quorate.foreign.deletion import NotDeleted
from quorate.foreign.inside import LeadsOut
from quorate.foreign.local_files import read_trusted
from quorate.foreign.mounts import decode, mounted_below
from quorate.foreign.trust import distrust_way
from quorate.host import ports
from quorate.local.home import Home
from quorate.local.layout import Layout
from quorate.tree import RealTree

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")


@pytest.fixture
def mounts() -> Iterator[list[Path]]:
    made: list[Path] = []
    yield made
    for place in reversed(made):
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def mount(kind: str, source: Path | str, place: Path, mounts: list[Path]) -> None:
    words = ["mount", "--bind", str(source), str(place)] if kind == "bind" else ["mount", "-t", "tmpfs", "none", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    mounts.append(place)


def empty(path: str, *, root: Path = Path("/")) -> None:
    assert taking.take(path, lambda _: True, root=root)


@as_root
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
@pytest.mark.parametrize("name", ["volume", "a volume with blanks", "tab\tand\\backslash"])
def test_what_is_mounted_below_a_folder_is_not_entered(kind: str, name: str, tmp_path: Path, mounts: list[Path]) -> None:
    """Rows h1.1, h1.2 and i1.3. A bind mount has the device of what surrounds it."""
    share, folder = tmp_path / "share", tmp_path / "folder"
    share.mkdir()
    place = folder / "pods" / name
    place.mkdir(parents=True)
    (folder / "pods" / "zz").write_text("goes")
    mount(kind, share, place, mounts)
    (place / "precious").write_text("of the pod")
    assert mounted_below(folder) == [place]
    for delete in (deletion.remove, empty):
        with pytest.raises(NotDeleted, match="mounted") as refused:
            delete(str(folder))
        assert [path for path, _ in refused.value.left] == [place]
    assert (place / "precious").read_text() == "of the pod"
    assert not (folder / "pods" / "zz").exists(), "one name that stays does not keep the rest"


@as_root
def test_a_mounted_file_stays_and_the_rest_goes(tmp_path: Path, mounts: list[Path]) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.write_text("precious")
    (folder / "file").write_text("")
    (folder / "z").write_text("")
    mount("bind", other, folder / "file", mounts)
    with pytest.raises(NotDeleted):
        empty(str(folder))
    assert os.listdir(folder) == ["file"]
    assert other.read_text() == "precious"


@as_root
def test_of_a_folder_that_is_a_mount_point_the_contents_go(tmp_path: Path, mounts: list[Path]) -> None:
    for delete in (empty, deletion.remove):
        folder = tmp_path / delete.__name__
        folder.mkdir()
        mount("tmpfs", "", folder, mounts)
        (folder / "a" / "b").mkdir(parents=True)
        delete(str(folder))
        assert folder.is_mount()
        assert os.listdir(folder) == []


def test_a_folder_behind_our_own_link_is_emptied_and_the_link_stays(tmp_path: Path) -> None:
    """Row i1.2: /var/lib may be a link."""
    (tmp_path / "disk" / "lib" / "etcd" / "member").mkdir(parents=True)
    (tmp_path / "var").symlink_to(tmp_path / "disk")
    empty(str(tmp_path / "var" / "lib" / "etcd"))
    assert os.listdir(tmp_path / "disk" / "lib" / "etcd") == []
    (tmp_path / "etcd").symlink_to("disk/lib/etcd")
    (tmp_path / "disk" / "lib" / "etcd" / "member").mkdir()
    empty(str(tmp_path / "etcd"))
    assert os.listdir(tmp_path / "disk" / "lib" / "etcd") == []
    assert (tmp_path / "etcd").is_symlink()


@as_root
@pytest.mark.parametrize("way", ["owner of the link", "writer of its folder"])
def test_a_link_of_somebody_else_is_not_followed(way: str, tmp_path: Path) -> None:
    """Row i8, and the rule of sshd."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    folder = tmp_path / "open"
    folder.mkdir()
    link = folder / "link"
    link.symlink_to(tmp_path / "precious")
    if way == "owner of the link":
        os.lchown(link, NOBODY, NOBODY)
    else:
        folder.chmod(0o777)
    with pytest.raises(LeadsOut, match="is not followed"):
        empty(str(link))
    with pytest.raises(LeadsOut, match="is not followed"):
        deletion.remove(str(link / "file"))
    tree = RealTree(Path("/"))
    for act in (
        lambda: tree.read(f"{link}/file"),
        lambda: tree.write(f"{link}/new", b"", mode=0o600),
        lambda: tree.names(str(link)),
        lambda: tree.folder(f"{link}/new", mode=0o700),
        lambda: tree.remove(f"{link}/file"),
        lambda: tree.at(f"{link}/file"),
    ):
        with pytest.raises(LeadsOut):
            act()
    assert os.listdir(tmp_path / "precious") == ["file"]


def test_links_without_end_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(HostError, match="too many links"):
        RealTree(tmp_path).read("/a/x")
    with pytest.raises(HostError, match="too many links"):
        empty(str(tmp_path / "a"))


def test_a_tree_of_any_depth_is_deleted(tmp_path: Path) -> None:
    """A pod nests its files as it likes: deeper than the stack, and than the table of open files."""
    folder = tmp_path / "deep"
    folder.mkdir()
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_tree(folder)
    assert not folder.exists()


def test_what_is_read_is_a_file_and_nobody_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="it is not a regular file"):
        RealTree(tmp_path).read("/pipe")
    with pytest.raises(HostError, match="not trusted"):
        read_trusted(tmp_path / "pipe", 10, what="the file")


def test_a_directory_in_the_place_of_a_record_is_named(tmp_path: Path) -> None:
    """It was an unexpected exception that named no place."""
    (tmp_path / "cluster.json").mkdir()
    with pytest.raises(HostError, match=r"^the record .*/cluster\.json is not trusted: it is a directory$"):
        read_trusted(tmp_path / "cluster.json", 10, what="the record")


@pytest.mark.parametrize(
    ("text", "path"), [("/a\\040b", "/a b"), ("/t\\011", "/t\t"), ("/n\\012", "/n\n"), ("/b\\134", "/b\\")]
)
def test_mount_points_are_decoded(text: str, path: str) -> None:
    assert decode(text) == path


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_folders_have_their_mode_at_any_umask_and_so_have_those_above(umask: int, tmp_path: Path) -> None:
    """Row h2.4."""
    before = os.umask(umask)
    try:
        make_folder(tmp_path / "a" / "b" / "c")
        RealTree(tmp_path).write("/x/y/file", b"", mode=0o600)
    finally:
        os.umask(before)
    for folder, mode in (("a", 0o700), ("a/b", 0o700), ("a/b/c", 0o700), ("x", 0o755), ("x/y", 0o755), ("x/y/file", 0o600)):
        assert (tmp_path / folder).stat().st_mode & 0o777 == mode


@as_root
def test_a_folder_of_somebody_else_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    assert "owns it" in distrust_way(folder)
    with pytest.raises(HostError, match="cannot be used"):
        private_folder(folder)
    with pytest.raises(HostError, match="cannot be used"):
        private_folder(folder / "below")


def test_a_folder_that_all_may_write_to_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o700)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(HostError, match="others may write"):
        private_folder(tmp_path / "open")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(HostError, match="symlink"):
        private_folder(tmp_path / "link")


def test_a_link_in_the_place_of_the_reservations_lock_empties_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row h2.3."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    make_folder(tmp_path / "quorate" / "ports")
    (tmp_path / "quorate" / "ports" / "lock").symlink_to(victim)
    with pytest.raises(HostError):
        ports.reserve(1, tmp_path / "owner")
    assert victim.read_text() == "mine"


@as_root
def test_root_takes_no_cluster_of_another_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows h2.1 and i2: cluster.json names a program, process.json a process."""
    folder = tmp_path / "try"
    (folder / "members" / "m1" / "data" / "member" / "wal").mkdir(parents=True)
    (folder / "members" / "m1" / "data" / "member" / "wal" / "0.wal").write_text("")
    program = folder / "etcd"
    program.write_text("#!/bin/sh\ntouch " + str(tmp_path / "pwned"))
    program.chmod(0o755)
    (folder / "cluster.json").write_text(
        '{"format":1,"token":"t","max_learners":1,"cluster_id":1,"members":[{"name":"m1","peer_port":15001,"client_port":15002,'
        f'"etcd":"{program}","phase":"member"}}]}}'
    )
    victim = subprocess.Popen(["sleep", "60"])
    try:
        (folder / "members" / "m1" / "process.json").write_text(f'{{"pid": {victim.pid}, "started": 0, "boot_id": "x"}}')
        for path in (folder, folder / "cluster.json"):
            os.chown(path, NOBODY, NOBODY)
            for command in (["start", "m1"], ["up"], ["down"], ["stop", "m1"], ["status"]):
                assert run_with(["local", *command, "--dir", str(folder)]) == 1
                assert "not trusted" in capsys.readouterr().err
            os.chown(path, 0, 0)
        os.chown(program, NOBODY, NOBODY)
        runtime = Home(Layout(folder)).runtime("m1")
        with pytest.raises(HostError, match="was not run"):
            runtime.start([])
        assert victim.poll() is None
        assert not (tmp_path / "pwned").exists()
    finally:
        victim.kill()
        victim.wait()


def test_below_another_root_the_message_names_the_file_that_was_touched(tmp_path: Path) -> None:
    """`init --rootfs DIR` said that it cannot create /etc/kubernetes/pki, which is the live host's."""
    (tmp_path / "etc").write_text("in the way")
    tree = RealTree(tmp_path)
    with pytest.raises(HostError) as refused:
        tree.folder("/etc/kubernetes/pki", mode=0o700)
    assert f"cannot create the directory {tmp_path}/etc/kubernetes/pki: " in refused.value.what
    with pytest.raises(HostError) as refused:
        tree.write("/etc/kubernetes/admin.conf", b"", mode=0o600)
    assert f"cannot write {tmp_path}/etc/kubernetes/admin.conf: " in refused.value.what
    with pytest.raises(HostError) as refused:
        empty("/etc", root=tmp_path)
    assert f" {tmp_path}/etc:" in refused.value.what
