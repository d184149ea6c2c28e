"""The long run: init, join and reset killed in every phase, what they need dying in every phase; the same command ends well."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import Joining, at_lines, files_left, init, init_words, joined, kill_at, members, parse, ready, taken_off

pytestmark = [pytest.mark.e2e_long, pytest.mark.timeout(2400)]

INIT = (
    "[preflight] Running",
    "[preflight] Pulling",
    "[certs] Generating",
    "[certs] Using certificateDir",
    "[kubeconfig] Writing",
    "[etcd] Creating",
    "[control-plane] Creating",
    "[kubelet-start] Writing kubelet configuration",
    "[kubelet-start] Starting",
    "[kubelet-check] The kubelet is healthy",
    "[control-plane-check] Checking",
    "[control-plane-check] kube-apiserver is healthy",
    "[upload-config]",
    "[upload-certs] Storing",
    "[mark-control-plane]",
    "[bootstrap-token] Creating",
    "[kubelet-finalize]",
    "[addons] Applied essential addon: CoreDNS",
)
JOIN = (
    "[preflight] Running",
    "[preflight] Pulling",
    "[download-certs] Downloading",
    "[download-certs] Saving",
    "[certs] Generating",
    "[kubeconfig] Writing",
    "[control-plane] Creating",
    "[check-etcd]",
    "[kubelet-start] Writing kubelet configuration",
    "[kubelet-start] Starting",
    "[etcd] Announced",
    "adding it as a learner",
    "starting its etcd",
    "receiving the data",
    "it answers",
    "giving it a vote",
    "asking the members themselves",
    "The new etcd member serves",
    "[kubelet-check] The kubelet is healthy",
    "[kubelet-start] Waiting for the kubelet to perform",
    "Pointing the kubelet",
    "[mark-control-plane]",
    "[control-plane-check] Checking",
    "[control-plane-check] kube-apiserver is healthy",
)
RESET = (
    "[preflight]",
    "Removing etcd member",
    "Removed, and seen to be absent",
    "Deleting contents of stateful",
    "Stopping the kubelet",
    "Unmounting",
    "Deleting contents of directories",
)


def words_of(node: KubeNode, joining: Joining) -> list[str]:
    return ["quorate", "join", *joining.control_plane(node), "--node-name", node.name]


def test_init_killed_in_every_phase(lab: KubeLab) -> None:
    node = lab.node("cp1")
    command = ["quorate", *init_words(node)]
    for line in INIT:
        kill_at(node, line, *command)
        done = node.run(*command)
        assert done.returncode == 0, f"after {line!r}:\n{done.stdout[-1500:]}{done.stderr}"
        ready(node, "cp1")
        assert members(node) == {"cp1": "voter"}
        done = node.quorate("reset", "--force")
        assert done.returncode == 0, done.stdout + done.stderr
        assert files_left(node) == []


def test_join_killed_in_every_phase(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    for line in JOIN:
        kill_at(second, line, *words_of(second, joining))
        assert first.kubectl("get", "--raw", "/readyz").stdout == "ok", f"the cluster goes on, after {line!r}"
        done = second.run(*words_of(second, joining))
        assert done.returncode == 0, f"after {line!r}:\n{done.stdout[-1500:]}{done.stderr}"
        assert members(first) == {"cp1": "voter", "cp2": "voter"}
        ready(first, "cp1", "cp2")
        taken_off(first, second)


def test_reset_killed_in_every_phase(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    for line in RESET:
        joined(second, joining.control_plane(second))
        kill_at(second, line, "quorate", "reset", "--force")
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
    "[preflight] Pulling",
    "[download-certs] Downloading",
    "[check-etcd]",
    "[kubelet-start] Starting",
    "adding it as a learner",
    "receiving the data",
    "giving it a vote",
    "[kubelet-start] Waiting for the kubelet to perform",
    "[mark-control-plane]",
    "[control-plane-check]",
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
    for line in PHASES[part::5]:
        code, said = at_lines(second, [(line, lambda _running: act(first))], *words_of(second, joining))
        told.append(f"{fault} at {line!r}: exit {code}")
        assert "Traceback" not in said, said
        if code != 0:
            assert code in (1, 2, 5) and " now: " in said, said
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
    assert "all writes stop until it does" in done.stderr
    joining = parse(done.stdout)
    flags = ["--ignore-preflight-errors=KubeletVersion"]
    code, said = at_lines(second, [("VOTER at once", lambda _running: None)], *words_of(second, joining), *flags)
    assert code == 0, said
    assert members(first) == {"cp1": "voter", "cp2": "voter"}
