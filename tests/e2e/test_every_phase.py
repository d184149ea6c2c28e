"""The long run: init, join and reset killed in every phase, what they need dying in every phase; the same command ends well."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import (
    Joining,
    at_events,
    error_of,
    files_left,
    init,
    init_words,
    joined,
    kill_at,
    members,
    parse,
    ready,
    taken_off,
)

pytestmark = [pytest.mark.e2e_long, pytest.mark.timeout(2400)]

INIT = (
    "line preflight",
    "line preflight #2",
    "line certs",
    "line certs #2",
    "line kubeconfig #2",
    "line etcd",
    "line control-plane #2",
    "line kubelet-start #2",
    "line kubelet-start #4",
    "line kubelet-check #2",
    "line control-plane-check #2",
    "line control-plane-check #5",
    "line upload-config",
    "line upload-certs",
    "line mark-control-plane",
    "line bootstrap-token #3",
    "line kubelet-finalize",
    "line addons",
)
JOIN = (
    "line preflight",
    "line preflight #3",
    "line download-certs",
    "line download-certs #2",
    "line certs #5",
    "line kubeconfig",
    "line control-plane",
    "line check-etcd",
    "line kubelet-start #2",
    "line kubelet-start #4",
    "line etcd",
    "progress add",
    "progress start",
    "progress catch-up",
    "progress catch-up #2",
    "progress promote",
    "progress verify",
    "made member",
    "line kubelet-check #2",
    "line kubelet-start #5",
    "line kubelet-start #6",
    "line mark-control-plane",
    "line control-plane-check #2",
    "line control-plane-check #5",
)
RESET = ("line preflight", "line reset", "line reset #2", "line reset #3", "line reset #4", "line reset #5", "line reset #6")


def words_of(node: KubeNode, joining: Joining) -> list[str]:
    return ["quorate", "join", *joining.control_plane(node), "--node-name", node.name]


def test_init_killed_in_every_phase(lab: KubeLab) -> None:
    node = lab.node("cp1")
    command = ["quorate", *init_words(node)]
    for moment in INIT:
        kill_at(node, moment, *command)
        done = node.run(*command)
        assert done.returncode == 0, f"after {moment!r}:\n{done.stdout[-1500:]}{done.stderr}"
        ready(node, "cp1")
        assert members(node) == {"cp1": "voter"}
        done = node.quorate("reset", "--force")
        assert done.returncode == 0, done.stdout + done.stderr
        assert files_left(node) == []


def test_join_killed_in_every_phase(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    for moment in JOIN:
        kill_at(second, moment, *words_of(second, joining))
        assert first.kubectl("get", "--raw", "/readyz").stdout == "ok", f"the cluster goes on, after {moment!r}"
        done = second.run(*words_of(second, joining))
        assert done.returncode == 0, f"after {moment!r}:\n{done.stdout[-1500:]}{done.stderr}"
        assert members(first) == {"cp1": "voter", "cp2": "voter"}
        ready(first, "cp1", "cp2")
        taken_off(first, second)


def test_reset_killed_in_every_phase(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    for moment in RESET:
        joined(second, joining.control_plane(second))
        kill_at(second, moment, "quorate", "reset", "--force")
        taken_off(first, second)
        assert members(first) == {"cp1": "voter"} and files_left(second) == []


def signal_all(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def ends(name: str) -> Callable[[KubeNode], None]:
    """SIGKILL for a process of a node; the kubelet starts it again, the first time at once and then ever later."""

    def act(node: KubeNode) -> None:
        pids = node.pids(name)
        assert pids, f"{name} runs"
        signal_all(pids, signal.SIGKILL)

    return act


def hangs(name: str) -> Callable[[KubeNode], None]:
    """It stops for three seconds, as on a disk that hangs."""

    def act(node: KubeNode) -> None:
        pids = node.pids(name)
        assert pids, f"{name} runs"
        signal_all(pids, signal.SIGSTOP)
        threading.Timer(3.0, signal_all, (pids, signal.SIGCONT)).start()

    return act


FAULTS = {
    "api-dies": ends("kube-apiserver"),
    "api-hangs": hangs("kube-apiserver"),
    "leader-dies": ends("etcd"),
    "leader-hangs": hangs("etcd"),
}
PHASES = (
    "line preflight #3",
    "line download-certs",
    "line check-etcd",
    "line kubelet-start #4",
    "progress add",
    "progress catch-up",
    "progress promote",
    "line kubelet-start #5",
    "line mark-control-plane",
    "line control-plane-check",
)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", range(5))
def test_what_a_join_needs_fails_in_every_phase(lab: KubeLab, fault: str, part: int) -> None:
    """Two members, the leader on the first node: without it nothing is decided. The join waits it out, or says what is
    the case, and the same command ends well. Two phases a lab: the kubelet waits ever longer before it starts what ended."""
    first, second = lab.node("cp1"), lab.node("cp2")
    act = FAULTS[fault]
    joining = init(first)
    told: list[str] = []
    for moment in PHASES[part::5]:
        code, events, said = at_events(second, [(moment, lambda _running: act(first))], *words_of(second, joining))
        told.append(f"{fault} at {moment!r}: exit {code}")
        assert "Traceback" not in said, said
        if code != 0:
            assert code in (1, 2, 5) and error_of(events)["state"], said
            until(lambda: first.kubectl("get", "--raw", "/readyz").stdout == "ok", 120, "the API server is back")
            done = second.run(*words_of(second, joining))
            assert done.returncode == 0, f"{told}\n{said[-1500:]}\nthen:\n{done.stdout[-1500:]}{done.stderr}"
        until(lambda: first.kubectl("get", "--raw", "/readyz").stdout == "ok", 120, "the API server is back")
        assert members(first) == {"cp1": "voter", "cp2": "voter"}, told
        taken_off(first, second)
    print("\n".join(told))


LEGACY = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {{name: {node.name}, ignorePreflightErrors: [KubeletVersion]}}
localAPIEndpoint: {{advertiseAddress: {node.address}}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.31.0
controlPlaneEndpoint: {node.address}
featureGates: {{EtcdLearnerMode: false}}
"""


def test_a_voter_join_where_learners_are_switched_off(lab: KubeLab) -> None:
    """What runs are the components of 1.34 under the names of 1.31: there this gate may be false."""
    first, second = lab.node("cp1"), lab.node("cp2")
    for node in (first, second):
        wanted = node.quorate("config", "images", "list", "--kubernetes-version=v1.31.0").stdout.split()
        there = node.quorate("config", "images", "list", "--kubernetes-version=v1.34.4").stdout.split()
        for new, old in zip(wanted, there, strict=True):
            node.run("ctr", "-n", "k8s.io", "images", "tag", old, new)
    first.path("/etc/init.yaml").write_text(LEGACY.format(node=first))
    done = first.quorate("init", "--config", "/etc/init.yaml", "--upload-certs")
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr
    assert "all writes stop until the new one runs" in done.stderr
    joining = parse(done.stdout)
    flags = ["--ignore-preflight-errors=KubeletVersion"]
    code, events, said = at_events(second, [("progress add", lambda _running: None)], *words_of(second, joining), *flags)
    assert code == 0 and not any(event.get("phase") == "promote" for event in events), said
    assert members(first) == {"cp1": "voter", "cp2": "voter"}
