"""A recovery behind another one: what an earlier run has left leads nobody to older data, and to no dead end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RunCli, engine

from quorate.core.membership import ClusterView
from quorate.deadline import SystemClock
from quorate.errors import Refused
from quorate.etcd.cluster import Cluster
from quorate.host.kubelet import Kubelet
from quorate.host.running_etcds import running_etcds
from quorate.local import cluster
from quorate.local.home import Home
from quorate.phases.node.static_pods import BEFORE_REJOIN
from quorate.phases.recover import run as on_node
from quorate.phases.recover.holding import HeldNode, hold_in
from quorate.phases.rejoin import run as rejoin
from quorate.phases.rejoin.cluster import NewCluster
from quorate.recovery import distil
from quorate.recovery.fence import spot_of
from quorate.recovery.judge_recovery import RecoveryJob
from quorate.recovery.progress import JOURNAL, folder_of, is_owed_cleaning
from quorate.recovery.recover import plan
from quorate.recovery.recover import recover as recovered
from quorate.recovery.settle import recovered_from
from quorate.report import silent
from quorate.tree import RealTree
from real.rows.processes import until
from real.test_recover import data_of, job_of, lost
from real.test_recover_beside_others import killed_at

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
CLOCK = SystemClock()
MANIFEST = """# ours: do not touch
apiVersion: v1
kind: Pod
metadata: {name: etcd}
spec:
  containers:
  - name: etcd
    image: x/etcd:3.6.5-0
    command: [etcd, --name=cp1, --data-dir=/var/lib/etcd, --initial-advertise-peer-urls=https://127.0.0.1:2,
      '--listen-client-urls=https://127.0.0.1:3', '--initial-cluster=cp1=https://127.0.0.1:2']
    volumeMounts: [{name: d, mountPath: /var/lib/etcd}]
  volumes: [{name: d, hostPath: {path: /var/lib/etcd}}]
"""


@pytest.fixture
def job(home: Home, etcd36: str) -> RecoveryJob:
    _, (best, *others) = lost(home, etcd36, 0.2)
    return job_of(home, etcd36, best, *others)


@pytest.fixture
def node(tmp_path: Path) -> HeldNode:
    """A control-plane node without etcd's data; its kubelet is not asked."""
    folder = tmp_path / "node/etc/kubernetes/manifests"
    folder.mkdir(parents=True)
    (tmp_path / "node/var/lib").mkdir(parents=True)
    (folder / "etcd.yaml").write_text(MANIFEST)
    (folder / "etcd.yaml").chmod(0o640)
    (folder / "kube-apiserver.yaml").write_text("apiVersion: v1\nkind: Pod\n")
    return HeldNode(RealTree(tmp_path / "node"), CLOCK, silent, "unix:///none", Kubelet())


def of_newer(path: Path) -> None:
    """Rewrites a journal as a newer version would have written it."""
    lines = [json.loads(one.partition(b" ")[2]) | {"format": 2} for one in path.read_bytes().split(b"\n") if one]
    bodies = [json.dumps(one, sort_keys=True) for one in lines]
    path.write_text("".join(f"{zlib.crc32(one.encode()):08x} {one}\n" for one in bodies))


def test_what_was_made_of_it_and_is_gone_is_not_the_old_cluster_again(job: RecoveryJob, cli: RunCli, tmp_path: Path) -> None:
    """`unfence` gave the old data its name back, and `fence` called it held, with a journal beside it that says otherwise."""
    done = recovered(job, CLOCK, silent)
    job.data_dir.rename(tmp_path / "moved")
    for words in (("unfence", str(job.data_dir), "--not-recovered"), ("fence", str(job.data_dir))):
        said = cli("etcd", *words)
        assert said.returncode == 4 and "and that is not there any more" in said.stderr and not job.data_dir.exists()
    for judge in (lambda: recovered(job, CLOCK, silent), lambda: plan(job)):
        with pytest.raises(Refused, match="is not there any more") as refused:
            judge()
    # What is advised works.
    for old, new in (one.removeprefix("mv ").split() for one in refused.value.advice.rpartition(": ")[2].split(" && ")):
        Path(old).rename(new)
    again = recovered(job, CLOCK, silent)
    assert again.keys == done.keys and again.cluster_id != done.cluster_id


@pytest.mark.parametrize("is_open", [True, False])
def test_the_journal_of_a_newer_version_is_not_none(
    job: RecoveryJob, cli: RunCli, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    if is_open:
        killed_at(monkeypatch, distil, "distil", lambda: recovered(job, CLOCK, silent))
    else:
        recovered(job, CLOCK, silent)
    of_newer(folder_of(spot_of(job.data_dir)) / JOURNAL)
    before = sorted(one.name for one in job.data_dir.parent.iterdir())
    with pytest.raises(Refused, match="a newer version of quorate"):
        recovered(job, CLOCK, silent)
    assert cli("etcd", "fence", str(job.data_dir)).returncode == 4
    assert sorted(one.name for one in job.data_dir.parent.iterdir()) == before


def test_a_node_whose_own_recovery_was_cut_off_does_not_rejoin(
    job: RecoveryJob, node: HeldNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its open journal stayed; the next recovery here advised to move the new data away, and built the cluster of before."""
    place = node.tree.at("/var/lib/etcd")
    job.data_dir.rename(place)
    here = replace(job, data_dir=place)
    killed_at(monkeypatch, distil, "distil", lambda: recovered(here, CLOCK, silent))
    with pytest.raises(Refused, match="was cut off here") as refused:
        rejoin.judge_rejoin(node, ("https://127.0.0.1:1",))
    assert "unfence" in refused.value.advice
    # Where it has newer data all the same, that is what is said.
    shutil.copytree(place.with_name(f"etcd.quorate-kept-{known_run(place)}"), place)
    with pytest.raises(Refused, match=r"it has \d+ keys of the cluster") as refused:
        recovered(here, CLOCK, silent)
    assert refused.value.advice.startswith("to recover what is there, end that recovery: mv ")


def known_run(place: Path) -> str:
    return next(one.name for one in place.parent.iterdir() if "kept" in one.name).rpartition("-")[2]


def test_a_recovery_starts_no_etcd_where_a_rejoin_was_cut_off(job: RecoveryJob, node: HeldNode) -> None:
    """An earlier recovery had ended there: its manifest came back beside no data, and etcd began an empty cluster."""
    place = node.tree.at("/var/lib/etcd")
    job.data_dir.rename(place)
    recovered(replace(job, data_dir=place), CLOCK, silent)
    place.rename(place.with_name("etcd.quorate-kept-bbbbbbbb"))
    for name in ("etcd", "kube-apiserver"):
        hold_in(node.tree, name)
    with pytest.raises(Refused, match="there is no data in") as refused:
        on_node.recover_node(on_node.NodeRecovery(node))
    assert "quorate rejoin" in refused.value.advice and not node.tree.is_file("/etc/kubernetes/manifests/etcd.yaml")


def test_a_rejoin_that_was_cut_off_between_the_pods_holds_both_and_keeps_what_somebody_wrote(
    node: HeldNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_in(node.tree, "etcd")
    folder, held = node.tree.at("/etc/kubernetes/manifests"), list[str]()
    found = NewCluster("https://h:1", ClusterView(7, (), {}, 0.0), 5)
    monkeypatch.setattr(rejoin, "find", lambda *_: found)
    monkeypatch.setattr(rejoin, "hold", lambda _node, names: held.extend(names))
    monkeypatch.setattr(rejoin, "refuse_without_kubelet", lambda _node: None)

    def join(_node: HeldNode, _judged: rejoin.Judged) -> int:
        (folder / "etcd.yaml").write_text("new")
        return 1

    monkeypatch.setattr(rejoin, "_join", join)
    rejoin.rejoin_node(node, ())
    kept = node.tree.at(BEFORE_REJOIN)
    assert held == ["etcd", "kube-apiserver"] and "do not touch" in kept.read_text() and kept.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in folder.iterdir()) == ["etcd.yaml", "kube-apiserver.yaml"]


def lose(home: Home, *names: str) -> None:
    for name in names:
        cluster.kill(home, name)
        shutil.rmtree(data_of(home, name))


def killed(home: Home, where: str, *words: str) -> None:
    """Runs a command of ours that is killed where it would call something."""
    module, _, name = where.rpartition(".")
    program = (
        f"import importlib, os, sys; m = importlib.import_module({module!r});"
        f"setattr(m, {name!r}, lambda *_a, **_k: os.kill(os.getpid(), 9)); sys.argv = ['quorate', *sys.argv[1:]];"
        "from quorate.cli.entry import run; sys.exit(run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--dir", str(home.layout.root)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_local_cluster_is_recovered_twice_also_behind_a_run_that_was_killed(home: Home, etcd36: str, cli: RunCli) -> None:
    """Killed before the cleaning, nothing cleaned it, and at the next loss each run asked for a leader that there was not."""
    cluster.up(home, 3, etcd36)
    first = home.look().cluster_id
    lose(home, "m2", "m3")
    killed(home, "quorate.local.cluster.start", "local", "recover")
    assert is_owed_cleaning(data_of(home, "m1"))
    at = ("--dir", str(home.layout.root))
    up = cli("local", "up", "--members", "3", *at, "--etcd", etcd36)
    assert up.returncode == 0, up.stderr
    assert not is_owed_cleaning(data_of(home, "m1"))
    second = home.look().cluster_id
    lose(home, "m2", "m3")
    again = cli("local", "recover", *at)
    assert again.returncode == 0, again.stderr
    with home.access() as access:
        made_of = recovered_from(Cluster(access, home.seeds()), home.look().cluster_id)
    assert made_of == (second, first), "a node that was away for both of them may join"


def test_what_this_machine_lacks_is_said_before_anybody_is_stopped(
    home: Home, etcd36: str, cli: RunCli, tmp_path: Path
) -> None:
    cluster.up(home, 3, etcd36)
    lose(home, "m2", "m3")
    said = cli("local", "recover", "--dir", str(home.layout.root), PATH=str(tmp_path))
    assert said.returncode != 0 and "unshare" in said.stderr and home.running() == ["m1"]


def test_a_backup_with_nospace_serves_in_its_trial_and_killed_trials_leave_no_etcd(
    home: Home, etcd36: str, tmp_path: Path, cli: RunCli
) -> None:
    cluster.up(home, 1, etcd36)
    words = [engine("etcd-3.6"), "--data-dir", str(tmp_path / "small"), "--quota-backend-bytes=2000000"]
    urls = ["--listen-client-urls=http://127.0.0.1:23790", "--advertise-client-urls=http://127.0.0.1:23790"]
    peer = ["--listen-peer-urls=http://127.0.0.1:23800", "--initial-advertise-peer-urls=http://127.0.0.1:23800"]
    who = ["--name=n1", "--initial-cluster=n1=http://127.0.0.1:23800"]
    small = subprocess.Popen([*words, *urls, *peer, *who], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ctl = [engine("etcdctl"), "--endpoints=http://127.0.0.1:23790", "put", "k", "v" * 100_000]
    try:
        until(lambda: "space" in subprocess.run(ctl, capture_output=True, text=True, check=False).stderr)
        place = str(tmp_path / "backups")
        saved = cli("etcd", "backup", "save", place, "--endpoints", "http://127.0.0.1:23790")
        assert saved.returncode == 0, saved.stderr
    finally:
        small.kill()
        small.wait()
    work = tmp_path / "work"
    work.mkdir()
    trial = ("etcd", "backup", "verify", place, "--restore-test", "--work", str(work))
    run = subprocess.Popen([sys.executable, "-m", "quorate", *trial], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: any(below(work, one.pid) for one in running_etcds()))
    run.kill()
    run.wait()
    tried = cli(*trial)
    assert tried.returncode == 0, tried.stderr
    assert not any(below(work, one.pid) for one in running_etcds()) and list(work.iterdir()) == []


def below(folder: Path, pid: int) -> bool:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink()).startswith(str(folder))
    except OSError:
        return False
