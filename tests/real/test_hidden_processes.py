"""What runs where it cannot be looked at, or by names that lead elsewhere by now, is not taken for nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import engine

from quorate.errors import Refused
from quorate.foreign.content import ids_below
from quorate.host import ports
from quorate.host.running_etcds import running_etcds
from quorate.phases.node import own_running
from real.rows.processes import until
from real.test_running_etcds import TREE, etcd_in, keys_in

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("only_own_processes")]
LOOK = """
from pathlib import Path
from quorate.errors import Refused
from quorate.phases.node.own_running import refuse_running
from quorate.tree import RealTree
try:
    refuse_running(RealTree(Path({root!r})), "", frozenset(["1:1"]), ["/srv"])
except Refused as error:
    print(error.what)
"""
UNTRACED = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")


@pytest.mark.parametrize("mode", [1, 2, 4])
def test_processes_that_proc_hides_may_be_an_etcd(mode: int, tmp_path: Path) -> None:
    """Root without CAP_SYS_PTRACE saw none of them, and took the keys of a running etcd."""
    (tmp_path / "srv").mkdir()
    look = [*UNTRACED, sys.executable, "-c", LOOK.format(root=str(tmp_path))]
    script = f'mount -t proc -o hidepid={mode},gid=65534 proc /proc && exec "$@"'
    words = ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "sh", *look]
    with etcd_in(tmp_path / "data"):
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "has open" in told or "are not seen from here" in told


def test_a_node_below_another_root_is_no_reason_to_look_away(tmp_path: Path) -> None:
    """As in a container with the host's processes and files, and without the right to trace."""
    look = [*UNTRACED, sys.executable, "-c", LOOK.format(root=str(tmp_path))]
    (tmp_path / "srv").mkdir()
    with etcd_in(tmp_path / "data"):
        assert "has open" in subprocess.run(look, capture_output=True, text=True, check=True).stdout


def test_a_folder_that_was_deleted_and_restored_is_where_names_lead(tmp_path: Path) -> None:
    """The etcd was started in the folder of its keys: all of them went."""
    keys_in(tmp_path / "pki")
    folder, data = tmp_path / "pki" / "etcd", tmp_path / "data"
    client, peer = ports.reserve(2, data)
    url = "http://127.0.0.1"
    words = [
        engine("etcd-3.6"),
        f"--data-dir={data}",
        f"--listen-client-urls={url}:{client}",
        f"--advertise-client-urls={url}:{client}",
        f"--listen-peer-urls={url}:{peer}",
        f"--initial-advertise-peer-urls={url}:{peer}",
        f"--initial-cluster=default={url}:{peer}",
        "--trusted-ca-file=ca.crt",
    ]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(one.pid == process.pid for one in running_etcds()), 10)
        for step in ("as it was", "restored"):
            if step == "restored":
                shutil.copytree(tmp_path / "pki", tmp_path / "backup")
                shutil.rmtree(tmp_path / "pki")
                shutil.copytree(tmp_path / "backup", tmp_path / "pki")
            with pytest.raises(Refused, match="it uses files"):
                own_running.refuse_running(TREE, "", ids_below(tmp_path / "pki"))
    finally:
        process.kill()
        process.wait()
