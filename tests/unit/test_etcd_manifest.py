"""The manifest of a static etcd pod in every spelling that the kubelet and etcd take, and those that cannot be understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quorate.errors import Refused
from quorate.phases.node.etcd_manifest import LocalEtcd, parse
from quorate.phases.node.local_etcd import local_etcd
from quorate.tree import RealTree

POD = """apiVersion: v1
kind: Pod
metadata:
  name: etcd
  annotations: {{kubeadm.kubernetes.io/etcd.advertise-client-urls: "https://10.0.0.12:2379"}}
spec:
  containers:
  - name: etcd
    command: {command}
    args: {args}
    env: {env}
    volumeMounts: [{{mountPath: /var/lib/etcd, name: etcd-data}}]
  volumes: [{{hostPath: {{path: /srv/etcd}}, name: etcd-data}}]
"""
FLAGS = (
    "--name=cp2",
    "--data-dir=/var/lib/etcd",
    "--advertise-client-urls=https://10.0.0.12:2379",
    "--initial-advertise-peer-urls=https://10.0.0.12:2380",
    "--initial-cluster=cp1=https://10.0.0.11:2380,cp2=https://10.0.0.12:2380",
    "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.12:2379",
)
RIGHT = LocalEtcd(
    "cp2",
    ("https://10.0.0.12:2380",),
    ("https://127.0.0.1:2379", "https://10.0.0.12:2379"),
    {"cp1": "https://10.0.0.11:2380", "cp2": "https://10.0.0.12:2380"},
    ("https://127.0.0.1:2379", "https://10.0.0.12:2379"),
    "/srv/etcd",
)


def pod(*words: str, args: tuple[str, ...] = (), env: str = "[]") -> bytes:
    return POD.format(command=list(words), args=list(args), env=env).encode()


def read(content: bytes) -> LocalEtcd:
    return parse(content, "etcd.yaml")


def apart(flag: str) -> tuple[str, str]:
    name, _, value = flag.partition("=")
    return name, value


@pytest.mark.parametrize(
    "content",
    [
        pod("etcd", *FLAGS),
        pod("etcd", "--unsafe-no-fsync", *FLAGS),
        pod("etcd", *FLAGS, "--client-cert-auth"),
        pod("etcd", "--client-cert-auth", "true", *FLAGS),
        pod("etcd", args=FLAGS),
        pod("/usr/local/bin/etcd", *FLAGS[:2], args=FLAGS[2:]),
        pod("etcd", *(word for flag in FLAGS for word in apart(flag))),
        pod("etcd", *(flag[1:] for flag in FLAGS)),
        pod("etcd", "--name=another", *FLAGS),
        pod("etcd", *FLAGS[1:], env="[{name: ETCD_NAME, value: cp2}, {name: GOMAXPROCS, value: '2'}]"),
        pod("etcd", *FLAGS, env="[{name: ETCD_NAME, value: weaker}]"),
        pod("etcd", "--name=$(WHO)", *FLAGS[1:], env="[{name: NUMBER, value: '2'}, {name: WHO, value: cp$(NUMBER)}]"),
        pod("etcd", *FLAGS, "--log-level=$(LEVEL)", env="[{name: LEVEL, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"),
    ],
    ids=[
        "kubeadm's",
        "switch first",
        "switch last",
        "switch and value",
        "args",
        "both",
        "apart",
        "one dash",
        "twice",
        "env",
        "env and flag",
        "references",
        "a reference that does not matter",
    ],
)
def test_every_spelling_is_the_same_member(content: bytes) -> None:
    """A flag without a value once made it "no etcd": the node was wiped, and a dead voter was left."""
    assert read(content) == RIGHT


@pytest.mark.parametrize(
    ("listening", "asked"),
    [
        ("https://0.0.0.0:2379", "https://127.0.0.1:2379"),
        ("https://0.0.0.0:12379", "https://127.0.0.1:12379"),
        ("https://[::]:2379", "https://[::1]:2379"),
        ("https://10.0.0.12:4001", "https://10.0.0.12:4001"),
    ],
)
def test_where_it_listens_is_no_address_to_be_reached_at(listening: str, asked: str) -> None:
    assert read(pod("etcd", *FLAGS[:5], f"--listen-client-urls={listening}")).client_urls[0] == asked


def test_what_it_advertises_counts_where_it_does_not_say_where_it_listens() -> None:
    found = read(pod("etcd", *FLAGS[:5]))
    assert found.client_urls == ("https://10.0.0.12:2379",) and found.client_port == 2379
    assert read(pod("etcd", *FLAGS[:2], *FLAGS[3:5])).client_urls == ("https://10.0.0.12:2379",), "the annotation"


def test_several_peer_urls_are_all_its_own() -> None:
    both = "--initial-advertise-peer-urls=https://10.0.0.12:2380,https://[fd00::12]:2380"
    assert read(pod("etcd", *FLAGS[:3], both, *FLAGS[4:])).peer_urls == ("https://10.0.0.12:2380", "https://[fd00::12]:2380")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a: [", "etcd.yaml"),
        (b"[]", "etcd.yaml"),
        (b"kind: Pod", "0 containers"),
        (pod("sh", "-c", "etcd --name=cp2"), "runs 'sh'"),
        (pod("etcd", "--config-file=/etc/etcd.yaml"), "in a file"),
        (pod("etcd", "--name=$(WHO)", *FLAGS[1:]), "--name holds '$(WHO)', which the kubelet fills in"),
        (
            pod("etcd", *FLAGS[1:], env="[{name: ETCD_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]"),
            "--name holds '$(ETCD_NAME)'",
        ),
        (
            pod("etcd", *FLAGS, "--advertise-client-urls=https://$(IP):2379", env="[{name: IP, valueFrom: {fieldRef: {}}}]"),
            "--advertise-client-urls holds",
        ),
        (pod("etcd", "--name=cp2"), "--data-dir"),
        (pod("etcd", "--data-dir=/var/lib/etcd"), "--initial-advertise-peer-urls"),
        (
            pod("etcd", *FLAGS, env="[]")
            .replace(b"name: etcd\n    command", b"name: one\n    command")
            .replace(b"  volumes:", b"  - name: two\n  volumes:"),
            "2 containers",
        ),
    ],
    ids=[
        "no YAML",
        "no mapping",
        "nothing",
        "a shell",
        "a file",
        "no such variable",
        "a variable of the kubelet",
        "an address of the kubelet",
        "no data",
        "no peer URL",
        "two containers",
    ],
)
def test_what_cannot_be_understood_is_never_no_etcd(content: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be understood") as refused:
        read(content)
    assert why in refused.value.what and refused.value.exit_code == 4
    folder = tmp_path / "etc/kubernetes/manifests"
    folder.mkdir(parents=True)
    assert local_etcd(RealTree(tmp_path)) is None, "there is no manifest: that is another answer"
    (folder / "etcd.yaml").write_bytes(content)
    with pytest.raises(Refused):
        local_etcd(RealTree(tmp_path))


@pytest.mark.parametrize("name", ["etcd.yml", "my-etcd.json", "a"])
def test_an_etcd_under_another_name_is_not_no_etcd(name: str, tmp_path: Path) -> None:
    """The kubelet reads every file of the folder that is not hidden."""
    folder = tmp_path / "etc/kubernetes/manifests"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(pod("/usr/local/bin/etcd", *FLAGS))
    with pytest.raises(Refused, match=f"/etc/kubernetes/manifests/{re.escape(name)} runs an etcd"):
        local_etcd(RealTree(tmp_path))
    (folder / "etcd.yaml").write_bytes(pod("etcd", *FLAGS))
    assert local_etcd(RealTree(tmp_path)) == RIGHT


def test_other_files_beside_it_run_none(tmp_path: Path) -> None:
    folder = tmp_path / "etc/kubernetes/manifests"
    (folder / "folder").mkdir(parents=True)
    (folder / ".etcd.yaml").write_bytes(pod("etcd", *FLAGS))
    (folder / "proxy.yaml").write_bytes(b"spec: {containers: [{name: proxy, image: haproxy, args: [-f, /etc/haproxy]}]}")
    assert local_etcd(RealTree(tmp_path)) is None
    (folder / "broken.yaml").write_bytes(b"a: [")
    with pytest.raises(Refused, match=r"broken\.yaml cannot be read, and may run an etcd"):
        local_etcd(RealTree(tmp_path))
