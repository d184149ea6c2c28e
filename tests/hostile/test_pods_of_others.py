"""Pods are stopped by what was seen: not the one of a manifest that came since, also when it holds the same and has its uid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pods import Pods, serving

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.host.cri import Runtime
from quorate.member.static_pod import StaticPod


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    with serving(tmp_path / "cri.sock", Pods()) as served:
        served.begin("old", "uid-1")
        yield served


@pytest.fixture
def pod(tmp_path: Path) -> StaticPod:
    manifest = tmp_path / "etcd.yaml"
    manifest.write_text("of the join")
    made = StaticPod(
        manifest, tmp_path / "data", f"unix://{tmp_path}/cri.sock", "image", lambda _rows: None, lambda _path: "", SystemClock()
    )
    made.process()
    return made


def nothing() -> None:
    """Refuses nothing."""


def test_the_pod_of_another_manifest_is_not_stopped(pods: Pods, tmp_path: Path) -> None:
    """Somebody joins this node anew while a reset waits for the pod of the manifest that it has removed."""
    pods.on_stop = lambda _id: pods.begin("new", "uid-2")
    with Runtime.connect(f"{tmp_path}/cri.sock") as asked:
        asked.see_static_pod_gone("etcd", SystemClock(), kubelet_runs=False, advice="", refuse=nothing)
    assert pods.stopped == ["old"]


def test_the_pod_of_the_same_manifest_that_is_there_again_is_not_stopped(pods: Pods, pod: StaticPod) -> None:
    """kubeadm writes the same text, and the kubelet gives its pod the same uid: a voter was stopped."""

    def join_again() -> None:
        if "old" in pods.sandboxes:
            del pods.sandboxes["old"]
            pod.manifest.write_text("of the join")
            pods.begin("of kubeadm", "uid-1")

    looks = iter([nothing])

    def look() -> None:
        next(looks, join_again)()

    pods.on_list = look
    with pytest.raises(HostError, match=r"etcd\.yaml was written by another program since this run looked"):
        pod.stop()
    assert pods.stopped == [] and pod.manifest.read_text() == "of the join"


def test_the_container_of_another_manifest_is_not_restarted(pods: Pods, pod: StaticPod) -> None:
    pod.manifest.unlink()
    pod.manifest.write_text("of kubeadm")
    pods.begin("of kubeadm", "uid-1")
    with pytest.raises(HostError, match="so is its pod"):
        pod.restart()
    assert pods.stopped == []


def test_the_container_of_an_earlier_pod_is_not_restarted(pods: Pods, tmp_path: Path, pod: StaticPod) -> None:
    """The kubelet ends it by itself."""
    later = StaticPod(pod.manifest, tmp_path / "data", pod.socket, "image", lambda _rows: None, lambda _path: "", SystemClock())
    pod.manifest.unlink()
    pod.manifest.write_text("of the next join")
    pods.begin("new", "uid-2")
    later.restart()
    assert pods.stopped == ["new-etcd"]
