"""What the user names is written as it is: a file, what a link leads to, a device, a pipe, standard output."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from quorate.cli.common.named_files import content_of, write_named
from quorate.cli.main import run_with
from quorate.errors import HostError

OLD = """apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.77.0.11}
nodeRegistration: {name: cp1, criSocket: "unix:///run/x.sock"}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
"""
NEW = b"apiVersion: kubeadm.k8s.io/v1beta4"
OTHER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def migrate(tmp_path: Path, new: Path | str) -> int:
    old = tmp_path / "old.yaml"
    old.write_text(OLD)
    return run_with(["config", "migrate", "--old-config", str(old), "--new-config", str(new)])


def test_a_device_behind_a_link_stays_a_device(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    assert migrate(tmp_path, link) == 0
    assert link.is_symlink() and stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_terminal_is_written_to(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        assert migrate(tmp_path, os.ttyname(theirs)) == 0
        assert NEW in os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert migrate(tmp_path, pipe) == 0
    reader.join()
    assert got[0].startswith(NEW) and stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_an_open_file_is_written_from_where_it_stands(tmp_path: Path, folder: str) -> None:
    """As standard output with `>>`: renamed over, or opened anew, what it held would be gone."""
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    number = log.stat().st_ino
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    try:
        assert migrate(tmp_path, f"{folder}/{fd}") == 0
    finally:
        os.close(fd)
    assert log.read_bytes().startswith(b"before\n" + NEW) and log.stat().st_ino == number


def test_standard_output_is_written_to(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert migrate(tmp_path, "/dev/stdout") == 0
    assert capfd.readouterr().out.startswith(NEW.decode()) and Path("/dev/stdout").is_symlink()


@as_root
def test_a_file_behind_a_link_keeps_owner_and_mode(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept", tmp_path / "new"
    kept.write_bytes(b"old")
    kept.chmod(0o644)
    os.chown(kept, OTHER, OTHER + 1)
    link.symlink_to("kept")
    assert migrate(tmp_path, link) == 0
    status = kept.stat()
    assert link.is_symlink() and kept.read_bytes().startswith(NEW)
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (OTHER, OTHER + 1, 0o644)


def test_a_new_file_is_for_its_owner_only_and_no_folder_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate(tmp_path, tmp_path / "new") == 0 and stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert migrate(tmp_path, tmp_path / "none/new") == 1 and not (tmp_path / "none").exists()
    assert f"cannot write {tmp_path}/none/new: No such file" in capsys.readouterr().err


def test_what_another_program_wrote_meanwhile_stays(tmp_path: Path) -> None:
    there, fresh = tmp_path / "there", tmp_path / "fresh"
    there.write_bytes(b"old")
    before = {path: content_of(path) for path in (there, fresh)}
    for path, read in before.items():
        path.write_bytes(b"theirs")
        with pytest.raises(HostError, match="another program"):
            write_named(path, b"ours", mode=0o600, instead_of=read)
        assert path.read_bytes() == b"theirs"
    write_named(there, b"ours", mode=0o600, instead_of=content_of(there))
    assert there.read_bytes() == b"ours" and sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "there"]


def test_a_file_that_is_migrated_onto_itself_keeps_an_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quorate.config import printing

    real, path = printing.migrated, tmp_path / "old.yaml"

    def edited(*args: object) -> str:
        text = real(*args)  # type: ignore[arg-type]
        path.write_text(OLD + "# theirs\n")
        return text

    monkeypatch.setattr(printing, "migrated", edited)
    assert migrate(tmp_path, path) == 1
    assert path.read_text().endswith("# theirs\n")


@as_root
def test_a_pipe_of_another_user_gets_no_token(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    os.chown(pipe, OTHER, OTHER)
    with pytest.raises(HostError, match=f"it is a pipe of user {OTHER}"):
        write_named(pipe, b"secret", mode=0o600, instead_of=None)


def test_what_is_no_stream_is_refused_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for name in ("socket", "."):
            with pytest.raises(HostError, match="it is neither a file, a pipe nor a terminal"):
                write_named(Path(name), b"x", mode=0o600, instead_of=None)
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)
