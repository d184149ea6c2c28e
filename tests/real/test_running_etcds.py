"""An etcd that runs is found by what it has open; a reset that would end it, or delete its keys, is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import engine

from quorate.errors import HostError, Refused
from quorate.foreign.content import ids_below
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host import named_files, ports, proc
from quorate.host.member_data import look_at, of_member, take_data
from quorate.host.mounted_from import MountedFrom
from quorate.host.named_files import files_named_to
from quorate.host.running_etcds import is_open_here, look_for_etcds, running_etcds
from quorate.phases.node import own_running
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.local_etcd import delete_data
from quorate.tree import NewContent, RealTree
from real.rows.processes import until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("only_own_processes")]
TREE = RealTree(Path("/"))


@contextmanager
def etcd_in(folder: Path, *flags: str, program: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    client, peer = ports.reserve(2, folder)
    command = [
        program or engine("etcd-3.6"),
        f"--data-dir={folder}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        *flags,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(one.pid == process.pid for one in running_etcds()), 10)
        yield process
    finally:
        process.kill()
        process.wait()


def keys_in(folder: Path) -> Path:
    """Makes files that stand for keys: an etcd without TLS is given them, and does not read them."""
    (folder / "etcd").mkdir(parents=True)
    for name in ("ca.crt", "server.crt", "server.key"):
        (folder / "etcd" / name).write_bytes(b"x")
    return folder / "etcd" / "ca.crt"


def test_an_etcd_is_found_by_what_it_has_open_whatever_it_is_called(tmp_path: Path) -> None:
    program = tmp_path / "kv-store"
    shutil.copy(engine("etcd-3.6"), program)
    data = tmp_path / "somewhere"
    with etcd_in(data, program=str(program)) as process:
        (found,) = (one for one in running_etcds() if one.pid == process.pid)
        assert found.folder == str(data) and not found.is_in_pod
        assert is_open_here(found, data) and not is_open_here(found, tmp_path)
        assert own_running.runs_elsewhere(TREE, str(data))
    assert all(one.folder != str(data) for one in running_etcds())


def test_one_that_uses_what_would_be_deleted_stops_a_reset(tmp_path: Path) -> None:
    ca, data = keys_in(tmp_path / "pki"), tmp_path / "data"
    with etcd_in(data, f"--trusted-ca-file={ca}") as process:
        with pytest.raises(Refused, match=f"pid {process.pid}.* it uses files that would be deleted"):
            own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))
        own_running.refuse_running(TREE, str(data), ids_below(tmp_path / "pki"))
        own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki" / "etcd") - {proc.file_id(ca)})


def test_one_whose_data_would_be_deleted_stops_a_reset(tmp_path: Path) -> None:
    """A service without --data-dir, started in /var/lib/kubelet."""
    with etcd_in(tmp_path / "kubelet" / "default.etcd"), pytest.raises(Refused, match="its data is in what would be deleted"):
        own_running.refuse_running(TREE, "", ids_below(tmp_path / "kubelet"))


def ways_to_name(ca: Path, folder: Path) -> dict[str, str]:
    """Names of one file that are not its path."""
    (folder / "link").symlink_to(ca.parent)
    (folder / "link-to-file").symlink_to("link/ca.crt")
    return {
        "relative": os.path.relpath(ca),
        "two-slashes": str(ca).replace("/etcd/", "//etcd//./"),
        "a-link": f"{folder}/link/ca.crt",
        "a-link-to-a-link": f"{folder}/link-to-file",
        "a-way-up": f"{ca.parent}/../etcd/ca.crt",
        "a-long-way": f"/{'./' * 600}{ca}",
    }


@pytest.mark.parametrize("way", ["relative", "two-slashes", "a-link", "a-link-to-a-link", "a-way-up", "a-long-way"])
def test_a_file_is_the_same_however_it_is_named(way: str, tmp_path: Path) -> None:
    ca = keys_in(tmp_path / "pki")
    named = ways_to_name(ca, tmp_path)[way]
    with etcd_in(tmp_path / "data", f"--trusted-ca-file={named}"), pytest.raises(Refused, match="it uses files"):
        own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))


@pytest.mark.parametrize("way", ["another's root", "its own folder", "like a flag"])
def test_links_of_processes_and_names_like_flags_are_followed(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = keys_in(tmp_path / "pki").rename(tmp_path / "pki" / "-ca.crt")
    monkeypatch.chdir(ca.parent)
    named = {
        "another's root": f"/proc/{os.getpid()}/root{ca}",
        "its own folder": "/proc/self/cwd/-ca.crt",
        "like a flag": ca.name,
    }
    with etcd_in(tmp_path / "data", f"--trusted-ca-file={named[way]}"), pytest.raises(Refused, match="it uses files"):
        own_running.refuse_running(TREE, "", frozenset([proc.file_id(ca)]))


def test_a_process_in_a_namespace_of_its_own_pids_is_followed_by_its_own_number(tmp_path: Path) -> None:
    ca = keys_in(tmp_path / "pki")
    given = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sleep", "60"]
    process = subprocess.Popen([*given[:-2], "sh", "-c", f"cd {ca.parent} && exec sleep 60"])
    try:
        (inner,) = until_child(process.pid)
        assert len(proc.pids_of(inner)) == 2
        assert proc.file_id(ca) in named_files._ways(MountedFrom.of(inner), "/proc/self/cwd/ca.crt").ids
    finally:
        process.kill()
        process.wait()


def until_child(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    until(lambda: bool(children.read_text()) and proc.command_line(int(children.read_text()), 100)[0] == "sleep", 10)
    return [int(one) for one in children.read_text().split()]


def test_a_second_etcd_in_the_data_directory_keeps_its_data(tmp_path: Path) -> None:
    """It was deleted as what lies beside `member`, and served on from files that were gone."""
    data = tmp_path / "etcd"
    (data / "member").mkdir(parents=True)
    users = own_running.Users()
    with etcd_in(data / "events") as process:
        users.look()
        seen = look_at(data)
        with pytest.raises(HostError, match=rf"an etcd runs \(pid {process.pid}"):
            delete_data(RealTree(Path("/")), LocalEtcd("m1", (), (), {}, (), str(data)), seen, users)
        assert (data / "events" / "member" / "snap" / "db").is_file()
        with pytest.raises(Refused, match="its data is in what would be deleted"):
            own_running.refuse_running(TREE, str(data), ids_below(data))


@pytest.mark.parametrize("by", ["--config-file", "ETCD_CONFIG_FILE"])
def test_keys_in_a_configuration_count(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca, config, data = keys_in(tmp_path / "pki"), tmp_path / "etcd.yaml", tmp_path / "data"
    client, peer = ports.reserve(2, data)
    config.write_text(
        f"data-dir: {data}\nlisten-client-urls: http://127.0.0.1:{client}\nadvertise-client-urls: http://127.0.0.1:{client}\n"
        f"listen-peer-urls: http://127.0.0.1:{peer}\ninitial-advertise-peer-urls: http://127.0.0.1:{peer}\n"
        f"initial-cluster: default=http://127.0.0.1:{peer}\npeer-transport-security: {{trusted-ca-file: {ca}}}\n"
    )
    words = ["--config-file", str(config)] if by.startswith("-") else []
    if not words:
        monkeypatch.setenv(by, str(config))
    process = subprocess.Popen([engine("etcd-3.6"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(one.pid == process.pid for one in running_etcds()), 10)
        with pytest.raises(Refused, match="it uses files"):
            own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))
        config.unlink()
        with pytest.raises(Refused, match=r"unknown which files it uses.* is not there any more"):
            own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))
    finally:
        process.kill()
        process.wait()


def test_variables_count_as_words_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_TRUSTED_CA_FILE", str(keys_in(tmp_path / "pki")))
    with etcd_in(tmp_path / "data"), pytest.raises(Refused, match="it uses files"):
        own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))


def test_a_linked_folder_of_data_is_seen_through(tmp_path: Path) -> None:
    """The path of an open file has no `member` then."""
    data, disk = tmp_path / "data", tmp_path / "disk"
    data.mkdir(mode=0o700)
    disk.mkdir(mode=0o700)
    (data / "member").symlink_to(disk)
    with etcd_in(data) as process:
        (found,) = (one for one in running_etcds() if one.pid == process.pid)
        assert is_open_here(found, data)


@pytest.mark.parametrize("is_log_elsewhere", [False, True])
def test_links_give_its_files_any_names(tmp_path: Path, is_log_elsewhere: bool) -> None:
    """It ran, and no open file of it was called as etcd calls its own."""
    data, disk = tmp_path / "data", tmp_path / "disk"
    disk.mkdir(mode=0o700)
    with etcd_in(data):
        until(lambda: any((data / "member" / "wal").glob("*.wal")), 10)
    (data / "member" / "wal").rename(disk / "journal")
    if not is_log_elsewhere:
        (data / "member" / "snap").rename(disk / "etcd-snap")
        (data / "member" / "snap").symlink_to(disk / "etcd-snap")
        (data / "member" / "wal").symlink_to(disk / "journal")
    else:
        (data / "member" / "snap" / "db").rename(disk / "etcd.db")
        (data / "member" / "snap" / "db").symlink_to(disk / "etcd.db")
    ca = keys_in(tmp_path / "pki")
    words = [f"--trusted-ca-file={ca}", *([f"--wal-dir={disk / 'journal'}"] if is_log_elsewhere else [])]
    with etcd_in(data, *words) as process:
        (found,) = (one for one in running_etcds() if one.pid == process.pid)
        assert is_open_here(found, data)
        with pytest.raises(Refused, match="it uses files"):
            own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))


def renewed_by_a_rename(ca: Path) -> None:
    made = ca.with_name("new")
    made.write_text("x")
    made.rename(ca)


def renewed_by_an_exchange(ca: Path) -> None:
    """As `certs renew` writes pairs."""
    paths = (ca, ca.with_name("server.crt"))
    RealTree(Path("/")).exchange(*(NewContent(str(path), b"y", mode=0o600, instead_of=b"x") for path in paths))


@pytest.mark.parametrize("is_relative", [False, True])
@pytest.mark.parametrize("renew", [renewed_by_a_rename, renewed_by_an_exchange])
def test_a_file_that_was_mounted_and_renewed_since_is_used_as_well(
    tmp_path: Path, renew: Callable[[Path], None], is_relative: bool
) -> None:
    """What a container has at its mount is the old one; at its next start it gets the new one."""
    ca, certs, data = keys_in(tmp_path / "pki"), tmp_path / "certs", tmp_path / "data"
    certs.mkdir()
    (certs / "ca.crt").touch()
    client, peer = ports.reserve(2, data)
    url = "http://127.0.0.1"
    named = f"../certs/{ca.name}" if is_relative else certs / ca.name
    flags = f"--data-dir={data} --trusted-ca-file={named} --listen-client-urls={url}:{client}"
    more = f"--advertise-client-urls={url}:{client} --listen-peer-urls={url}:{peer}"
    own = f"--initial-advertise-peer-urls={url}:{peer} --initial-cluster=default={url}:{peer}"
    process = subprocess.Popen(
        [
            *("unshare", "--mount", "--propagation=private", "sh", "-ec"),
            f"mount --bind {ca} {certs / 'ca.crt'}; cd {tmp_path / 'pki'}; exec {engine('etcd-3.6')} {flags} {more} {own}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: any(one.pid == process.pid for one in running_etcds()), 10)
        renew(ca)
        with pytest.raises(Refused, match="it uses files"):
            own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("init", "layers", "is_refused"), [("sh", False, True), ("sh", True, False), ("systemd", False, False)]
)
def test_a_container_that_sees_no_process_of_the_host_is_no_host(
    init: str, layers: bool, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docker run -v /etc/kubernetes:/etc/kubernetes … quorate reset` saw no etcd, and took its keys."""
    monkeypatch.setattr(proc, "sees_whole_machine", lambda: init == "systemd")
    monkeypatch.setattr(own_running, "is_on_layers", lambda _: layers)
    monkeypatch.setattr(own_running, "CONFIG_FOLDER", "/etc")
    if is_refused:
        with pytest.raises(Refused, match="are not seen from here"):
            own_running.refuse_running(TREE, "", frozenset())
    else:
        own_running.refuse_running(TREE, "", frozenset())


def test_another_namespace_of_pids_is_told_by_its_first_process() -> None:
    told = "from quorate.host import proc; print(proc.sees_whole_machine())"
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    assert proc.sees_whole_machine()
    assert subprocess.check_output([*inside, sys.executable, "-c", told], text=True).strip() == "False"


@pytest.mark.parametrize("namespaces", [["--mount"], ["--net"], ["--mount", "--net"]])
def test_another_namespace_hides_no_file_of_this_host(namespaces: list[str], tmp_path: Path) -> None:
    """Containers see the keys elsewhere, and may have a network of their own."""
    ca, certs, data = keys_in(tmp_path / "pki"), tmp_path / "certs", tmp_path / "data"
    certs.mkdir()
    is_moved = "--mount" in namespaces
    named = certs / "ca.crt" if is_moved else ca
    url = "http://127.0.0.1"
    flags = f"--data-dir={data} --trusted-ca-file={named} --listen-client-urls={url}:1 --advertise-client-urls={url}:1"
    more = f"--listen-peer-urls={url}:2 --initial-advertise-peer-urls={url}:2 --initial-cluster=default={url}:2"
    up = "ip link set lo up; " if "--net" in namespaces else ""
    if not up:
        client, peer = ports.reserve(2, data)
        flags, more = flags.replace(":1", f":{client}"), more.replace(":2", f":{peer}")
    mount = f"mount --bind {ca.parent} {certs}; " if is_moved else ""
    command = ["unshare", *namespaces, "--propagation=private"] if is_moved else ["unshare", *namespaces]
    process = subprocess.Popen(
        [*command, "sh", "-ec", f"{up}{mount}exec {engine('etcd-3.6')} {flags} {more}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: any(one.pid == process.pid for one in running_etcds()), 10)
        with pytest.raises(Refused, match="it uses files"):
            own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))
    finally:
        process.kill()
        process.wait()


def test_a_process_that_cannot_be_looked_at_is_no_process_without_etcd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root without CAP_SYS_PTRACE sees no process's files."""
    hidden = subprocess.Popen(["sh", "-c", "sleep 60; exit", "kv", "--listen-peer-urls=http://127.0.0.1:1"])
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if path == f"/proc/{hidden.pid}/fd":
            raise PermissionError(1, "Operation not permitted")
        return real(path)

    try:
        monkeypatch.setattr(os, "listdir", listdir)
        assert hidden.pid in look_for_etcds().unseen
        with pytest.raises(Refused, match=r"process \d+ has open"):
            own_running.refuse_running(TREE, "", frozenset())
    finally:
        hidden.kill()
        hidden.wait()


def test_one_in_a_pod_stops_a_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with etcd_in(tmp_path / "data") as process:
        pods = {process.pid: "0::/kubepods.slice/kubepods-burstable.slice/x\n"}
        monkeypatch.setattr(proc, "cgroups", lambda pid: pods.get(pid, ""))
        with pytest.raises(Refused, match=f"pid {process.pid}.* it runs in a pod"):
            own_running.refuse_running(TREE, "", frozenset())


def test_a_copy_of_the_data_and_one_that_only_reads_it_are_no_etcd(tmp_path: Path) -> None:
    database = tmp_path / "member" / "snap" / "db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"x")
    with database.open("rb"):
        assert all(one.pid != os.getpid() for one in running_etcds())
    with database.open("r+b"):
        assert any(one.pid == os.getpid() for one in running_etcds())


def test_an_etcd_of_another_machine_below_a_root_stops_only_what_takes_its_files(tmp_path: Path) -> None:
    """A tree below --rootfs may be that of a machine that this host runs in a container."""
    ca = keys_in(tmp_path / "etc" / "pki")
    with etcd_in(tmp_path / "data", f"--trusted-ca-file={ca}"):
        own_running.refuse_running(RealTree(tmp_path), "", ids_below(tmp_path / "data" / "none"))
        with pytest.raises(Refused, match="it uses files"):
            own_running.refuse_running(RealTree(tmp_path), "", ids_below(tmp_path / "etc"))


def test_data_that_an_etcd_has_open_is_never_deleted(tmp_path: Path) -> None:
    """A service had started it again, between the last look of a reset that was suspended and its deletion."""
    data = tmp_path / "data"
    with etcd_in(data) as process:
        with pytest.raises(HostError, match=rf"an etcd runs on the data in .*\(pid {process.pid}\)"):
            take_data(data, of_member(None))
        assert (data / "member" / "snap" / "db").is_file() and sorted(os.listdir(data)) == ["member"]
    take_data(data, of_member(None))
    assert not os.listdir(data)


def test_an_etcd_that_is_started_between_two_looks_keeps_its_keys(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    ca = keys_in(folder)
    users = own_running.Users()
    users.look()
    users.refuse(ids_below(folder), str(folder))
    with etcd_in(tmp_path / "data", f"--trusted-ca-file={ca}"):
        with pytest.raises(HostError, match="that uses files in"):
            users.refuse(ids_below(folder), str(folder))
        users.look()
        # What was looked at counts, also where it has another place by now.
        folder.rename(tmp_path / "taken")
        with pytest.raises(HostError, match="that uses files in"):
            users.refuse(ids_below(tmp_path / "taken"), str(folder))
        users.refuse(ids_below(tmp_path / "other"), "other")


@pytest.mark.parametrize("held", [TAKEN, JUDGED])
def test_keys_that_a_killed_reset_has_taken_away_are_still_those_of_an_etcd(tmp_path: Path, held: str) -> None:
    """It was started in between; the next reset found that its names lead nowhere, and deleted what they had led to."""
    folder = tmp_path / "pki"
    ca = keys_in(folder)
    with etcd_in(tmp_path / "data", f"--trusted-ca-file={ca}"):
        (folder / held).mkdir()
        (folder / "etcd").rename(folder / held / "etcd")
        with pytest.raises(Refused, match="it uses files"):
            own_running.refuse_running(TREE, "", ids_below(folder))


def test_a_link_on_the_way_is_used_as_its_file_is(tmp_path: Path) -> None:
    """The link went, and the etcd came up empty at its next start."""
    (tmp_path / "kubelet").mkdir()
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "kubelet" / "etcd").symlink_to(tmp_path / "disk")
    with etcd_in(tmp_path / "kubelet" / "etcd"), pytest.raises(Refused, match="it uses files"):
        own_running.refuse_running(TREE, "", ids_below(tmp_path / "kubelet"))


@pytest.mark.parametrize("way", ["no text", "above the root", "its own folder"])
def test_odd_names_are_followed_as_the_process_does(tmp_path: Path, way: str) -> None:
    """A name that is no UTF-8; `..` at the root of a chroot; and /proc/self, which was ours."""
    root, ca = tmp_path / "root", keys_in(tmp_path / "pki")
    root.mkdir()
    odd = ca.parent / os.fsdecode(b"\xff")
    odd.write_bytes(b"x")
    name = {"no text": str(odd), "above the root": "/../pki/etcd/ca.crt", "its own folder": "/proc/self/cwd/etcd/ca.crt"}[way]
    script = "import os,sys,time; os.chdir(sys.argv[2]); sys.argv[3] and os.chroot(sys.argv[3]); time.sleep(60)"
    place = str(tmp_path) if way == "above the root" else ""
    process = subprocess.Popen([sys.executable, "-c", script, f"--trusted-ca-file={name}", str(ca.parents[1]), place])
    try:
        until(lambda: proc.working_folder(process.pid) == str(ca.parents[1]), 10)
        until(lambda: not place or proc.root(process.pid) == proc.file_id(tmp_path), 10)
        wanted = odd if way == "no text" else ca
        assert proc.file_id(wanted) in files_named_to(process.pid)
    finally:
        process.kill()
        process.wait()


@contextmanager
def given(*words: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that was given these words, and does nothing."""
    process = subprocess.Popen(["sh", "-c", "sleep 60; exit", "etcd", *words], **more)
    try:
        until(lambda: "sleep 60; exit" in proc.command_line(process.pid, 1 << 16), 10)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_configuration_that_was_changed_since_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_files, "_WRAPPER_SECONDS", 0.05)
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "etcd.yaml").write_text("trusted-ca-file: /x\n")
    (tmp_path / "current").symlink_to("v1")
    time.sleep(0.3)
    with given(f"--config-file={tmp_path}/v1/etcd.yaml") as one, given(f"--config-file={tmp_path}/current/etcd.yaml") as other:
        files_named_to(one.pid)
        files_named_to(other.pid)
        time.sleep(0.3)
        # Through a link that leads to an old file by now.
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("v2")
        files_named_to(one.pid)
        with pytest.raises(HostError, match="was changed since that began"):
            files_named_to(other.pid)
        (tmp_path / "v1" / "etcd.yaml").write_text("trusted-ca-file: /y\n")
        with pytest.raises(HostError, match="was changed since that began"):
            files_named_to(one.pid)


@pytest.mark.parametrize("text", ["", "# nothing\n", "data-dir: /x\n---\ntrusted-ca-file: /y\n"])
def test_what_etcd_runs_with_is_no_riddle(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty name, an empty file, and one that a script wrote just before it started etcd."""
    monkeypatch.setenv("ETCD_CONFIG_FILE", "")
    (tmp_path / "etcd.yaml").write_text(text)
    with given(f"--config-file={tmp_path}/etcd.yaml", "--config-file=") as process:
        (tmp_path / "etcd.yaml").touch()
        files_named_to(process.pid)


def test_what_was_made_anew_beside_what_was_taken_away_hides_nothing(tmp_path: Path) -> None:
    """A killed reset had taken the keys away, and `init phase certs` made the folder anew, with a CA alone."""
    folder = tmp_path / "pki"
    ca = keys_in(folder)
    (folder / "sa.key").write_bytes(b"x")
    key, ids = ca.with_name("server.key"), [proc.file_id(ca.with_name("server.key")), proc.file_id(folder / "sa.key")]
    with given(f"--key-file={key}", f"--trusted-ca-file={folder}/etcd/../sa.key") as process:
        (folder / TAKEN).mkdir()
        (folder / "etcd").rename(folder / TAKEN / "etcd")
        assert set(ids) <= files_named_to(process.pid)
        (folder / "etcd").mkdir()
        (folder / "etcd" / "ca.crt").write_bytes(b"new")
        assert set(ids) <= files_named_to(process.pid)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with given(f"--key-file={tmp_path}/a/x") as process:
        assert proc.file_id(tmp_path) in files_named_to(process.pid)


def test_an_empty_name_of_its_own_hides_no_flag(tmp_path: Path) -> None:
    ca = keys_in(tmp_path / "pki")
    process = subprocess.Popen(["", "-c", "sleep 60; exit", "x", str(ca)], executable="/bin/sh")
    try:
        until(lambda: proc.words(process.pid, 1 << 16)[1:2] == ["-c"], 10)
        assert proc.file_id(ca) in files_named_to(process.pid)
    finally:
        process.kill()
        process.wait()


def test_one_path_that_is_too_long_hides_no_etcd(tmp_path: Path) -> None:
    """A log below folders with long names: the whole process counted as one without files."""
    data = tmp_path / "data" / "member" / "snap" / "db"
    data.parent.mkdir(parents=True)
    data.write_bytes(b"x")
    program = (
        "import os,sys,time; db=open(sys.argv[1],'r+b')\nfor _ in range(22):\n os.mkdir('d'*200); os.chdir('d'*200)\n"
        "log=open('log','w'); os.chdir('/'); print('ready',flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", program, str(data)]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            assert any(one.pid == process.pid for one in running_etcds())
        finally:
            process.kill()
    subprocess.run(["rm", "-rf", str(tmp_path / ("d" * 200))], check=True)
