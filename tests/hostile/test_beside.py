"""What lies beside our own: folders next to the data, access lists, links behind links, programs, pipes, paths with dots."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from unit.views import url, view

from hostile.servers import answer, read_head, server
from quorate.cli.main import run_with
from quorate.deadline import Cancel, SystemClock
from quorate.errors import HostError, Interrupted
from quorate.foreign.documents import read_mapping
from quorate.foreign.local_files import read_at_most
from quorate.foreign.trust import distrust_way
from quorate.host import ports
from quorate.host.cri import Runtime
from quorate.host.etcd_binary import read_version
from quorate.host.process import spawn
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.member.checks import Case, check_data
from quorate.member.data_dir import DataDir
from quorate.member.spec import EtcdSpec
from quorate.phases.node.local_etcd import local_etcd
from quorate.tree import RealTree

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def spec(data: Path) -> EtcdSpec:
    return EtcdSpec("m9", Path("/bin/true"), data, url(9), url(9))


@as_root
@pytest.mark.parametrize("name", ["", "made-data-dir"])
def test_a_strangers_folder_beside_the_data_is_not_believed(name: str, tmp_path: Path) -> None:
    """It said what may be deleted, and held the variables of root's unit."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "data").mkdir()
    (shared / "data" / "precious").write_text("x")
    beside = shared / "data.quorate"
    beside.mkdir()
    beside.chmod(0o777)
    if name:
        (beside / name).write_text("")
    os.chown(beside, NOBODY, NOBODY)
    place = DataDir(spec(shared / "data"))
    assert "owns it" in place.doubt
    assert not place.is_begun
    assert "data-dir-foreign" in [one.name for one in check_data(Case(spec(shared / "data"), view(1), False))]
    with pytest.raises(HostError, match="cannot be used"):
        place.prepare()
    place.give_back(None)
    assert (shared / "data" / "precious").exists()


@as_root
def test_a_program_is_not_run_to_learn_its_version_before_its_owner_is_known(tmp_path: Path) -> None:
    program = tmp_path / "etcd"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    program.chmod(0o755)
    os.chown(program, NOBODY, NOBODY)
    with pytest.raises(HostError, match="was not run"):
        read_version(program)
    assert not (tmp_path / "pwned").exists()


def test_a_pipe_in_the_place_of_a_log_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "output.log")
    began = time.monotonic()
    with pytest.raises(HostError, match="cannot open the log"):
        spawn(["/bin/true"], output=tmp_path / "output.log", folder=tmp_path, environment={})
    assert time.monotonic() - began < 2


@as_root
def test_an_access_list_is_seen(tmp_path: Path) -> None:
    """Owned by root, and written by nobody: the group's bits are the list's mask."""
    folder = tmp_path / "listed"
    folder.mkdir(mode=0o700)
    rights = [(1, 7, 0xFFFFFFFF), (2, 7, NOBODY), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
    packed = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + right.to_bytes(2, "little") + who.to_bytes(4, "little") for tag, right, who in rights
    )
    try:
        os.setxattr(folder, "system.posix_acl_access", packed)
    except OSError:
        pytest.skip("this file system has no access lists")
    assert "others may write" in distrust_way(folder)


@as_root
def test_a_link_behind_a_link_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    eve = tmp_path / "eve"
    eve.mkdir()
    (eve / "l").symlink_to(tmp_path / "real")
    (tmp_path / "top").symlink_to(eve / "l")
    assert distrust_way(tmp_path / "top") == ""
    os.lchown(eve / "l", NOBODY, NOBODY)
    assert "is not followed" in distrust_way(tmp_path / "top")


@pytest.mark.parametrize("volume", ["emptyDir: {}", "hostPath: {path: /}", ""])
@pytest.mark.parametrize(
    "mount", ["{mountPath: /var/lib/etcd, name: d}", "{mountPath: /var/lib/etcd, name: d, subPathExpr: $(N)}"]
)
def test_where_the_data_lies_is_told_by_the_manifest_or_not_at_all(volume: str, mount: str, tmp_path: Path) -> None:
    """A reset emptied the host's folder of the flag's name, or all of /data."""
    path = tmp_path / "etc" / "kubernetes" / "manifests" / "etcd.yaml"
    path.parent.mkdir(parents=True)
    flags = "etcd, --name=n, --data-dir=/var/lib/etcd, --initial-advertise-peer-urls=https://h:2380, --listen-client-urls=https://h:1"
    path.write_text(
        f"spec:\n  containers:\n  - command: [{flags}]\n    volumeMounts: [{mount}]\n  volumes: [{{name: d, {volume}}}]\n"
    )
    found = local_etcd(RealTree(tmp_path))
    assert found is not None
    assert found.data_dir == ""


def test_a_server_behind_a_path_is_asked_there() -> None:
    heads: list[bytes] = []

    def speak(connection: Any) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with server(speak) as port:
        client = KubeClient(Server(f"http://127.0.0.1:{port}/k8s/clusters/c-1", tls.unverified()), SystemClock(), patience=0.0)
        with client.connected():
            client.get("Node", "n1")
    assert heads[0].startswith(b"GET /k8s/clusters/c-1/api/v1/nodes/n1 ")


def test_merge_keys_and_keys_that_are_there_twice_are_read_as_kubernetes_reads_them() -> None:
    assert read_mapping(b"a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}", "x") == {
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "x": 1},
        "c": {"x": 1, "y": 2, "z": 4},
    }
    assert read_mapping(b"a: 1\na: 2", "x") == {"a": 2}


def test_what_a_pipe_gives_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    threading.Timer(0.3, path.write_text, args=("content",)).start()
    assert read_at_most(path, 100) == b"content"
    told = subprocess.run(["bash", "-c", "cat <(echo one)"], capture_output=True, check=True)
    assert told.stdout == b"one\n"
    read, write = os.pipe()
    os.write(write, b"kind: Config")
    os.close(write)
    assert RealTree(Path("/")).read(f"/dev/fd/{read}") == b"kind: Config"
    os.close(read)


def test_what_is_empty_and_no_pipe_has_no_writer_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--want /dev/null` took ten seconds."""

    def refuse(_seconds: float) -> None:
        raise AssertionError("nothing is waited for")

    monkeypatch.setattr(time, "sleep", refuse)
    assert read_at_most(Path("/dev/null"), 100) == b""


def test_the_lock_of_the_ports_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(ports, "_LOCK_SECONDS", 0.5)
    ports.reserve(1, tmp_path)
    holder = subprocess.Popen(["flock", str(tmp_path / "quorate" / "ports" / "lock"), "sleep", "20"])
    try:
        time.sleep(0.3)
        with pytest.raises(HostError, match="another process has held"):
            ports.reserve(1, tmp_path)
    finally:
        holder.terminate()
        holder.wait()


def test_ctrl_c_does_not_wait_for_the_container_runtime(tmp_path: Path) -> None:
    class Never(grpc.GenericRpcHandler):  # type: ignore[type-arg]
        def service(self, _details: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: ended.wait(20) and b"")

    ended = threading.Event()
    runtime = grpc.server(futures.ThreadPoolExecutor(2))
    runtime.add_generic_rpc_handlers((Never(),))
    runtime.add_insecure_port(f"unix:{tmp_path}/cri.sock")
    runtime.start()
    cancel = Cancel()
    threading.Timer(0.5, cancel.request, args=("SIGINT",)).start()
    began = time.monotonic()
    try:
        with Runtime.connect(f"{tmp_path}/cri.sock", cancel) as asked, pytest.raises(Interrupted):
            asked.stop_sandbox("abc")
        assert time.monotonic() - began < 5
    finally:
        ended.set()
        runtime.stop(0).wait()


@pytest.mark.parametrize("words", [["local", "status"], ["local", "down", "--purge"]])
def test_a_path_with_dots_is_the_path_it_means(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert run_with([*words, "--dir", "../b"]) == 3


def test_a_large_answer_is_told_apart_from_none() -> None:
    with server(answer(b'{"items": [1, {"metadata": {"name": "n"}}, null]}')) as port:
        client = KubeClient(Server(f"http://127.0.0.1:{port}", tls.unverified()), SystemClock(), patience=0.0)
        with client.connected():
            assert client.list("Node") == [{"metadata": {"name": "n"}}]
