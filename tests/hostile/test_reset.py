"""What a reset deletes, and what it leaves alone: volumes, other folders, another node, the live host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from quorate.config.types import ResetConfiguration
from quorate.deadline import SystemClock
from quorate.dry_tree import DryTree
from quorate.errors import HostError, Refused
from quorate.host.cri import Runtime
from quorate.host.member_data import look_at
from quorate.phases.node.local_etcd import delete_data, local_etcd
from quorate.phases.reset import cleanup as cleanup_node
from quorate.phases.reset import mounts
from quorate.phases.reset.state import ResetRun
from quorate.report import Notice, RunMessage
from quorate.tree import RealTree

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
WANTS = "etc/systemd/system/multi-user.target.wants"
KUBELET, PKI = "var/lib/kubelet", "etc/kubernetes/pki"
MANIFEST = """
spec:
  containers:
  - command: [etcd, --name=n1, --data-dir=/var/lib/etcd{below}, --initial-advertise-peer-urls=https://10.0.0.1:2380,
      "--listen-client-urls=https://127.0.0.1:2379", "--initial-cluster=n1=https://10.0.0.1:2380"]
    volumeMounts:
    - {{mountPath: /var/lib/etcd, name: etcd-data}}
    - {{mountPath: /var/lib, name: other}}
  volumes:
  - {{name: etcd-data, hostPath: {{path: {host}}}}}
  - {{name: other, hostPath: {{path: /srv}}}}
"""


@dataclass
class Node:
    """A node below a folder, whose unit tells for certain how the kubelet is started, and what its reset says."""

    root: Path
    said: list[RunMessage] = field(default_factory=list[RunMessage])
    mounts: list[Path] = field(default_factory=list[Path])

    def __post_init__(self) -> None:
        self.write("usr/local/lib/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet\n")
        self.write("usr/bin/kubelet", "\x7fELF")
        (self.root / WANTS).mkdir(parents=True)
        (self.root / WANTS / "kubelet.service").symlink_to("/usr/local/lib/systemd/system/kubelet.service")

    def write(self, path: str, text: str = "x") -> Path:
        made = self.root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text)
        return made

    def mount(self, path: str) -> Path:
        place = self.root / path
        place.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "none", str(place)]
        if subprocess.run(words, check=False, capture_output=True).returncode != 0:
            pytest.skip("nothing can be mounted here")
        self.mounts.append(place)
        (place / "precious").write_text("of the pod")
        return place

    def reset(self, **fields: object) -> ResetRun:
        values = {"certificates_dir": f"/{PKI}", "cri_socket": "unix:///run/containerd/containerd.sock", **fields}
        return ResetRun(
            ResetConfiguration(**values), RealTree(self.root), SystemClock(), self.said.append, lambda _: True  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def warnings(self) -> list[str]:
        return [one.text for one in self.said if isinstance(one, Notice) and one.level == "warning"]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "n")
    (made.root / KUBELET).mkdir(parents=True)
    yield made
    for place in reversed(made.mounts):
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


@as_root
@pytest.mark.parametrize("name", ["volume", "a volume"])
def test_pods_volumes_are_unmounted_and_their_data_stays(node: Node, name: str) -> None:
    volume = node.mount(f"{KUBELET}/pods/uid/volumes/nfs/{name}")
    share = node.root / "share"
    share.mkdir()
    subprocess.run(["mount", "--bind", str(volume), str(share)], check=True)
    node.mounts.append(share)
    cleanup_node.clean_up(node.reset())
    assert not volume.exists()
    assert (share / "precious").read_text() == "of the pod"


@as_root
def test_a_volume_that_is_busy_stays_with_its_data_and_ends_the_reset_in_an_error(node: Node) -> None:
    """Row h1.1: it was warned of, and every file of it deleted."""
    volume = node.mount(f"{KUBELET}/pods/uid/volumes/nfs/busy")
    node.write(f"{KUBELET}/config.yaml", "kind: KubeletConfiguration")
    held = os.open(volume / "precious", os.O_RDONLY)
    try:
        with pytest.raises(HostError, match="not completely reset") as ended:
            cleanup_node.clean_up(node.reset())
    finally:
        os.close(held)
    assert str(volume) in ended.value.what
    assert ended.value.exit_code == 1
    assert (volume / "precious").read_text() == "of the pod"
    assert not (node.root / KUBELET / "config.yaml").exists(), "all else is gone"


@as_root
@pytest.mark.parametrize("path", [f"{KUBELET}/images", f"{KUBELET}/pods", f"{PKI}/etcd", "etc/kubernetes/manifests/x"])
def test_what_is_mounted_and_no_pods_is_refused_before_anything_is_changed(node: Node, path: str) -> None:
    node.mount(path)
    kept = node.write(f"{KUBELET}/config.yaml", "kind: KubeletConfiguration")
    planned = node.reset()
    planned.tree, planned.dry_run = DryTree(planned.tree), True
    for run in (planned, node.reset()):
        with pytest.raises(Refused, match="something is mounted") as refused:
            cleanup_node.clean_up(run)
        assert refused.value.exit_code == 4
        assert kept.exists()


@as_root
def test_a_folder_that_is_a_mount_point_is_emptied(node: Node) -> None:
    folder = node.mount(KUBELET)
    cleanup_node.clean_up(node.reset())
    assert folder.is_mount()
    assert os.listdir(folder) == []


@as_root
def test_the_data_of_etcd_is_refused_while_something_is_mounted_in_it(node: Node) -> None:
    """Row i1.3: the contents went first, the error came after."""
    node.write("etc/kubernetes/manifests/etcd.yaml", MANIFEST.format(host="/var/lib/etcd", below=""))
    node.mount("var/lib/etcd/wal")
    with pytest.raises(Refused, match="something is mounted"):
        mounts.refuse(node.reset(), local_etcd(RealTree(node.root)))


@as_root
def test_a_link_on_the_way_hides_no_mount(node: Node) -> None:
    """Row i1.2: /var/lib was a link, nothing was unmounted, and all volumes were emptied."""
    (node.root / "disk").mkdir()
    (node.root / KUBELET).rmdir()
    (node.root / "var" / "lib").rmdir()
    (node.root / "var" / "lib").symlink_to("/disk")
    volume = node.mount("disk/kubelet/pods/uid/volumes/v")
    share = node.root / "share"
    share.mkdir()
    subprocess.run(["mount", "--bind", str(volume), str(share)], check=True)
    node.mounts.append(share)
    cleanup_node.clean_up(node.reset())
    assert (share / "precious").exists()
    assert os.listdir(node.root / "disk" / "kubelet") == []


@pytest.mark.parametrize(("host", "below", "data"), [("/srv/etcd", "", "/srv/etcd"), ("/srv/e/", "/m1", "/srv/e/m1")])
def test_what_the_pod_mounts_is_the_data_and_not_what_the_flag_says(node: Node, host: str, below: str, data: str) -> None:
    """Row i1.4: a patch had moved the volume, and /var/lib/etcd of the host was emptied."""
    node.write("etc/kubernetes/manifests/etcd.yaml", MANIFEST.format(host=host, below=below))
    strangers = node.write("var/lib/etcd/file")
    own = node.write(f"{data.lstrip('/')}/member/wal/0.wal")
    etcd = local_etcd(RealTree(node.root))
    assert etcd is not None
    assert etcd.data_dir == data
    delete_data(RealTree(node.root), etcd, look_at(node.root / data.lstrip("/")))
    assert strangers.exists()
    assert not own.exists()


def test_of_another_folder_for_certificates_only_certificates_go(node: Node) -> None:
    """Row i1.5: --cert-dir /home emptied it."""
    for name in ("ca.crt", "etcd/peer.key", "sa.pub"):
        node.write(f"home/{name}")
    kept = [node.write(f"home/{name}") for name in ("joe/thesis.tex", "etcd/other")]
    cleanup_node.clean_up(node.reset(certificates_dir="/home"))
    assert all(path.exists() for path in kept)
    assert sorted(path.name for path in (node.root / "home").rglob("*") if path.is_file()) == ["other", "thesis.tex"]
    assert any("other files than certificates" in text for text in node.warnings)


def test_another_root_has_another_container_runtime(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row i1.1: `reset --rootfs` stopped and removed every pod of the live host."""
    asked: list[str] = []
    connect = Runtime.connect

    def noted(socket: str, _cancel: object = None) -> object:
        asked.append(socket)
        return connect(socket)

    monkeypatch.setattr(Runtime, "connect", noted)
    cleanup_node.clean_up(node.reset())
    assert asked == [f"unix://{node.root}/run/containerd/containerd.sock"]
    assert any("pods may still run" in text for text in node.warnings)


@as_root
def test_a_link_of_another_user_ends_a_reset(node: Node) -> None:
    """/etc/kubernetes/pki as a link of somebody else: what it leads to is emptied only where root has chosen it."""
    kept = node.write("srv/pki/ca.key")
    folder = node.root / PKI
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rmdir()
    folder.symlink_to("/srv/pki")
    os.lchown(folder, 12345, 12345)
    with pytest.raises((Refused, HostError), match="link"):
        cleanup_node.clean_up(node.reset())
    assert kept.exists()
    os.lchown(folder, 0, 0)
    cleanup_node.clean_up(node.reset())
    assert not kept.exists() and folder.is_symlink()


def test_a_cleanup_alone_takes_no_member_s_keys(node: Node) -> None:
    """Its keys went, with a warning at most, and the cluster counted on it."""
    manifest = node.write("etc/kubernetes/manifests/etcd.yaml", MANIFEST.format(host="/var/lib/etcd", below=""))
    key = node.write("etc/kubernetes/pki/etcd/peer.key")
    with pytest.raises(Refused, match="phase remove-etcd-member did not run") as refused:
        cleanup_node.clean_up(node.reset())
    assert refused.value.advice.startswith("quorate reset phase remove-etcd-member")
    assert manifest.exists() and key.exists()
    cleanup_node.clean_up(node.reset(skip_phases=("remove-etcd-member",)))
    assert any("its member stays in the list" in text and "quorate etcd remove" in text for text in node.warnings)
    node.said.clear()
    cleanup_node.clean_up(node.reset())
    assert not any("its member stays" in text for text in node.warnings)
