"""A member as a static pod: which ends of its container mean that it cannot start."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.etcd.membership.runtime import Process
from quorate.host.crash_counter import CrashCounter
from quorate.host.cri import Container, ContainerEnd, Runtime
from quorate.host.kubelet import Kubelet
from quorate.member.static_pod import StaticPod


@dataclass
class Containers:
    """What a container runtime has of this pod: an attempt is running, or has ended with exit code 1."""

    attempts: list[Container] = field(default_factory=list[Container])
    stopped: list[str] = field(default_factory=list[str])

    def attempt(self, number: int, *, running: bool) -> None:
        self.attempts = [one for one in self.attempts if one.attempt != number]
        self.attempts.insert(0, Container(f"c{number}", "etcd", "s", number, running, time.time_ns()))

    def containers(self, _name: str) -> list[Container]:
        return self.attempts

    def container_end(self, container_id: str) -> ContainerEnd:
        one = next(one for one in self.attempts if one.id == container_id)
        return ContainerEnd(one.running, 1, "Error", "", 1, 0 if one.running else 2, "/log")

    def stop_container(self, container_id: str, *, grace: int) -> None:  # noqa: ARG002
        self.stopped.append(container_id)


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> Containers:
    there = Containers()

    @contextmanager
    def connect(_socket: str, _cancel: object = None) -> Iterator[Containers]:
        yield there

    monkeypatch.setattr(Runtime, "connect", connect)
    return there


@pytest.fixture
def pod(tmp_path: Path) -> StaticPod:
    manifest = tmp_path / "etcd.yaml"
    manifest.write_text("")
    return StaticPod(manifest, tmp_path / "data", "", "image", lambda _rows: None, lambda _path: "No such flag.", SystemClock())


def state(pod: StaticPod) -> str:
    return pod.process().state


def test_one_end_may_get_better_and_two_do_not(pod: StaticPod, containers: Containers) -> None:
    containers.attempt(0, running=True)
    assert state(pod) == "running"
    containers.attempt(0, running=False)
    assert state(pod) == "running", "the kubelet starts it again at once"
    containers.attempt(1, running=True)
    assert state(pod) == "running"
    containers.attempt(1, running=False)
    assert (state(pod), pod.process().note) == ("failing", "its container ended with exit code 1. No such flag.")


def test_ends_before_this_run_do_not_count(pod: StaticPod, containers: Containers) -> None:
    """Their cause may have been mended: the kubelet will start it once more, ever later."""
    for number in (3, 4):
        containers.attempt(number, running=False)
    assert state(pod) == "running"
    containers.attempt(5, running=True)
    assert state(pod) == "running"
    containers.attempt(5, running=False)
    assert state(pod) == "failing"


def test_the_restart_of_a_lost_publish_is_no_failure(pod: StaticPod, containers: Containers) -> None:
    containers.attempt(0, running=True)
    assert state(pod) == "running"
    pod.restart()
    assert containers.stopped == ["c0"]
    containers.attempt(0, running=False)
    containers.attempt(1, running=False)
    assert state(pod) == "running"
    containers.attempt(2, running=False)
    assert state(pod) == "failing"


def test_a_pod_from_before_the_manifest_does_not_count(pod: StaticPod, containers: Containers) -> None:
    """Seen before the kubelet has made the new one: its last end is not the first of two."""
    containers.attempt(1, running=False)
    written = time.time_ns()
    os.utime(pod.manifest, ns=(written, written))
    assert state(pod) == "running"
    containers.attempt(2, running=False)
    assert state(pod) == "running"
    containers.attempt(3, running=False)
    assert state(pod) == "failing"


def test_another_pod_is_counted_from_its_own_first_attempt() -> None:
    """A manifest that was changed makes a new pod, whose attempts begin at 0: counted from the old one's it had four more."""
    counter = CrashCounter(3)
    ends = {"a": Container("c4", "etcd", "p", 4, running=True, created_at=0)}
    assert counter.last_end(cast("Runtime", None), ends["a"]) is None
    for number in (0, 1, 2):
        newest = Container(f"c{number}", "etcd", "q", number, running=False, created_at=0)
        ended = ContainerEnd(False, 1, "", "", 1, 2, "")
        found = counter.last_end(cast("Runtime", SimpleNamespace(container_end=lambda _id, end=ended: end)), newest)
        assert (found is not None) is (number == 2)


def test_a_kubelet_that_does_not_start_is_named(
    pod: StaticPod, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration comes from the cluster, and may be one that it cannot read: "its etcd is not running" was all."""
    monkeypatch.setattr(containers, "has_image", lambda _name: True, raising=False)
    monkeypatch.setattr(Kubelet, "problem", lambda _self: "connection refused")
    assert pod.process() == Process("running"), "it takes a moment"
    assert pod._since is not None
    pod._since -= 11
    told = pod.process()
    assert told.state == "running" and "the kubelet starts no pods (connection refused)" in told.note
    monkeypatch.setattr(Kubelet, "problem", lambda _self: "")
    assert pod.process() == Process("running")
    assert Kubelet().problem() == "", "another tool runs it, at a port that is not known"


def test_another_manifest_stays(pod: StaticPod, containers: Containers) -> None:
    """A join that was suspended, and whose node was reset and joined again meanwhile, deleted the new member's manifest."""
    containers.attempt(0, running=True)
    assert state(pod) == "running"
    same = pod.manifest.read_text()
    pod.manifest.unlink()
    pod.manifest.write_text(same)
    for step in (pod.stop, lambda: pod.wipe(0)):
        with pytest.raises(HostError, match="was written by another program since"):
            step()
    assert pod.manifest.read_text() == same
    assert [path.name for path in pod.manifest.parent.iterdir()] == ["etcd.yaml"]
