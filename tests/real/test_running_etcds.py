"""An etcd that runs is found by what it has open; a reset that would end it, or delete its keys, is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import engine

from quorate.errors import Refused
from quorate.host import ports, proc
from quorate.host.running_etcds import is_open_here, running_etcds, uses
from quorate.phases.node import own_running
from quorate.tree import RealTree
from real.rows.processes import until

pytestmark = pytest.mark.real
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


def test_an_etcd_is_found_by_what_it_has_open_whatever_it_is_called(tmp_path: Path) -> None:
    program = tmp_path / "kv-store"
    shutil.copy(engine("etcd-3.6"), program)
    data = tmp_path / "somewhere"
    with etcd_in(data, program=str(program)) as process:
        (found,) = (one for one in running_etcds() if one.pid == process.pid)
        assert found.folder == str(data) and not found.is_in_pod
        assert is_open_here(found, data) and not is_open_here(found, tmp_path)
        assert uses(found, str(tmp_path)) and not uses(found, "/etc/kubernetes")
        assert own_running.runs_elsewhere(TREE, str(data))
    assert all(one.folder != str(data) for one in running_etcds())


def test_one_that_uses_what_would_be_deleted_stops_a_reset(tmp_path: Path) -> None:
    certificates, data = tmp_path / "pki", tmp_path / "data"
    with etcd_in(data, f"--trusted-ca-file={certificates}/etcd/ca.crt"):
        with pytest.raises(Refused, match=f"it uses files below {certificates}"):
            own_running.refuse_running(TREE, "", str(certificates))
        own_running.refuse_running(TREE, str(data), str(certificates))
        own_running.refuse_running(TREE, "", str(tmp_path / "other"))


def test_variables_count_as_words_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_TRUSTED_CA_FILE", f"{tmp_path}/pki/etcd/ca.crt")
    with etcd_in(tmp_path / "data"), pytest.raises(Refused, match="it uses files below"):
        own_running.refuse_running(TREE, "", f"{tmp_path}/pki")


def test_one_in_a_pod_stops_a_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with etcd_in(tmp_path / "data") as process:
        pods = {process.pid: "0::/kubepods.slice/kubepods-burstable.slice/x\n"}
        monkeypatch.setattr(proc, "cgroups", lambda pid: pods.get(pid, ""))
        with pytest.raises(Refused, match=f"pid {process.pid}.* it runs in a pod"):
            own_running.refuse_running(TREE, "", "/etc/kubernetes/pki")


def test_a_copy_of_the_data_and_one_that_only_reads_it_are_no_etcd(tmp_path: Path) -> None:
    database = tmp_path / "member" / "snap" / "db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"x")
    with database.open("rb"):
        assert all(one.pid != os.getpid() for one in running_etcds())
    with database.open("r+b"):
        assert any(one.pid == os.getpid() for one in running_etcds())


def test_the_files_of_another_machine_say_nothing_of_what_runs_here(tmp_path: Path) -> None:
    with etcd_in(tmp_path / "data", f"--trusted-ca-file={tmp_path}/pki/etcd/ca.crt"):
        own_running.refuse_running(RealTree(tmp_path), "", f"{tmp_path}/pki")
