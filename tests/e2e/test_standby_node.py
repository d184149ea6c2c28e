"""A control-plane node that is kept as a standby: its etcd is a learner, its components start when that is a voter."""

from __future__ import annotations

import pytest

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import init, joined, members, ready

STANDBY = ("--standby", "--occupy-the-seat")
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def set_policy(node: KubeNode, text: str) -> None:
    file = node.folder / "policy.yaml"
    file.write_text(text)
    done = node.quorate("autopilot", "policy", "set", str(file))
    assert done.returncode == 0, done.stderr


def piloted(node: KubeNode) -> None:
    """The autopilot of this node, as its service would run it."""
    node.serve("autopilot", "quorate", "autopilot", "run", "--stacked")


def log_of(node: KubeNode) -> str:
    return (node.folder / "autopilot.log").read_text()


def serves(node: KubeNode) -> bool:
    """Whether the API server of this very node answers."""
    return node.kubectl(f"--server=https://{node.address}:6443", "get", "--raw", "/readyz").stdout == "ok"


def is_whole(node: KubeNode) -> bool:
    return serves(node) and all(node.runs(name) for name in COMPONENTS)


def joins_as_standby(lab: KubeLab, name: str, first: KubeNode, words: list[str]) -> KubeNode:
    node = lab.node(name)
    said = joined(node, words, "quorate", *STANDBY)
    assert "as a standby of its control plane" in said and "quorate autopilot unit --stacked" in said
    assert members(first)[name] == "learner"
    assert not any(node.runs(one) for one in COMPONENTS)
    assert not [one for one in node.path("/etc/kubernetes/manifests").iterdir() if one.name in COMPONENTS]
    return node


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_a_standby_gets_its_vote_and_then_its_components(lab: KubeLab) -> None:
    first = lab.node("cp1")
    joining = init(first)
    words = joining.control_plane(lab.node("cp2"))
    bare = lab.node("cp2").quorate("join", *words, "--node-name", "cp2", "--standby")
    assert bare.returncode == 4 and "--occupy-the-seat" in bare.stderr
    second = joins_as_standby(lab, "cp2", first, words)
    ready(first, "cp1", "cp2")
    well = second.quorate("doctor")
    assert well.returncode == 0 and "etcd member cp2 is a standby" in well.stdout, well.stdout
    assert "until its etcd is a voter" in well.stdout and "cut off" not in well.stdout
    set_policy(first, "voters: 3\nalignedFor: 2s\n")
    piloted(second)
    until(lambda: members(first)["cp2"] == "voter", 60, "cp2 gets its vote")
    until(lambda: is_whole(second), 120, "the components of cp2 run")
    assert "started kube-apiserver" in log_of(second)
    assert not [one for one in second.path("/etc/kubernetes/manifests").iterdir() if one.name.startswith(".")]
    done = second.quorate("reset", "--force")
    assert done.returncode == 0, done.stderr
    assert members(first) == {"cp1": "voter"}


@pytest.mark.e2e_long
@pytest.mark.timeout(900)
def test_a_node_that_is_lost_for_good_is_replaced(lab: KubeLab) -> None:
    first = lab.node("cp1")
    joining = init(first)
    for name in ("cp2", "cp3"):
        joined(lab.node(name), joining.control_plane(lab.node(name)))
    spare = joins_as_standby(lab, "w1", first, joining.control_plane(lab.node("w1")))
    set_policy(first, "voters: 3\nstandbys: 1\nreplaceDead: {after: 1m}\n")
    piloted(first)
    lost = lab.node("cp2")
    lost.halt()
    until(lambda: "not-prepared" in log_of(first), 120, "nothing is replaced without an instance on the standby's node")
    assert members(first)["cp2"] == "voter"
    piloted(spare)
    until(lambda: members(first).get("w1") == "voter", 60, "w1 takes the place of cp2")
    assert members(first) == {"cp1": "voter", "cp3": "voter", "w1": "voter"}
    until(lambda: is_whole(spare), 120, "the components of w1 run")
    ready(first, "cp1", "cp3", "w1")
    lost.boot()
    lost.run("systemctl", "start", "kubelet")
    piloted(lost)
    until(lambda: "was removed from the cluster" in log_of(lost) and "quorate reset" in log_of(lost), 60, "cp2 says why")
