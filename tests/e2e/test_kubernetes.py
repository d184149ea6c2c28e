"""Real control planes: init, joins, workers, reset, both tools side by side, failures and what comes after them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from oracle.trees import differences

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import get, init, join, joined, kill_at, members, parse, ready

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_three_control_planes_and_a_worker_come_and_go(lab: KubeLab) -> None:
    first = lab.node("cp1")
    joining = init(first)
    said = joined(lab.node("cp2"), joining.control_plane(lab.node("cp2")))
    assert "* A new etcd member was added to the local/stacked etcd cluster." in said
    joined(lab.node("cp3"), joining.control_plane(lab.node("cp3")))
    said = joined(lab.node("w1"), joining.worker)
    assert "This node has joined the cluster:" in said
    ready(first, "cp1", "cp2", "cp3", "w1")
    assert members(first) == {"cp1": "voter", "cp2": "voter", "cp3": "voter"}
    planes = get(first, "nodes", "-l", "node-role.kubernetes.io/control-plane=")
    assert [row["metadata"]["name"] for row in planes["items"]] == ["cp1", "cp2", "cp3"]  # type: ignore[attr-defined]
    assert lab.node("w1").path("/etc/kubernetes/manifests").exists() is False or not list(
        lab.node("w1").path("/etc/kubernetes/manifests").iterdir()
    )
    check_started_once(lab)
    check_tokens(first)
    shown = first.quorate("certs", "check-expiration")
    assert "front-proxy-ca" in shown.stdout and shown.stderr == "", "the cluster's own configuration is read"
    leave(first, lab.node("cp3"))
    assert members(first) == {"cp1": "voter", "cp2": "voter"}
    # Gone means gone: the node can come again, under its name.
    assert first.kubectl("delete", "node", "cp3").returncode == 0
    joined(lab.node("cp3"), joining.control_plane(lab.node("cp3")))
    assert members(first) == {"cp1": "voter", "cp2": "voter", "cp3": "voter"}


def leave(other: KubeNode, node: KubeNode) -> None:
    done = node.quorate("reset", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seen to be absent" in done.stdout and "2 members now: 0 may fail" in done.stderr
    assert not list(node.path("/var/lib/etcd").iterdir())
    assert not node.path("/etc/kubernetes/admin.conf").exists()
    assert not list(node.path("/etc/kubernetes/pki").iterdir())
    assert other.kubectl("get", "--raw", "/readyz").stdout == "ok"


def check_tokens(node: KubeNode) -> None:
    made = node.quorate("token", "create", "--ttl", "2h", "--description", "a test's", "--print-join-command")
    assert made.returncode == 0, made.stderr
    token = made.stdout.split("--token ")[1].split()[0]
    rows = [json.loads(line) for line in node.quorate("token", "list", "-o", "json").stdout.splitlines()]
    assert {row["token"]: row.get("description") for row in rows}[token] == "a test's"
    assert node.run("kubeadm", "token", "list").stdout.count(token) == 1
    assert node.quorate("token", "delete", token).returncode == 0
    assert token not in node.quorate("token", "list").stdout


def check_started_once(lab: KubeLab) -> None:
    """Nothing crash-looped on the way, and nothing waits to be started any more."""
    pods = get(lab.node("cp1"), "pods", "-n", "kube-system", "-l", "tier=control-plane,component!=etcd")["items"]
    ends = {one["metadata"]["name"]: one["status"]["containerStatuses"][0]["restartCount"] for one in pods}  # type: ignore[attr-defined]
    assert len(ends) == 9 and set(ends.values()) == {0}, ends
    for name in ("cp1", "cp2", "cp3"):
        there = sorted(path.name for path in lab.node(name).path("/etc/kubernetes/manifests").iterdir())
        assert there == ["etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"], name


@pytest.mark.parametrize("tool", ["kubeadm", "quorate"])
def test_both_tools_in_one_cluster(lab: KubeLab, tool: str) -> None:
    """Made by one, joined by the other, then by the first; each resets what the other made."""
    other = "quorate" if tool == "kubeadm" else "kubeadm"
    first, second, third = (lab.node(name) for name in ("cp1", "cp2", "cp3"))
    joining = init(first, tool)
    joined(second, joining.control_plane(second), other)
    joined(third, joining.control_plane(third), tool)
    assert members(first) == {"cp1": "voter", "cp2": "voter", "cp3": "voter"}
    ready(first, "cp1", "cp2", "cp3")
    for node, with_tool in ((second, tool), (third, other)):
        done = node.run(with_tool, "reset", "--force")
        assert done.returncode == 0, done.stdout + done.stderr
    assert members(first) == {"cp1": "voter"}


def test_what_init_keeps_in_the_cluster_is_what_kubeadm_keeps(lab: KubeLab) -> None:
    ours, theirs = lab.node("cp1"), lab.node("cp2")
    init(ours)
    init(theirs, "kubeadm")
    kinds = (
        ("clusterrolebindings",),
        ("clusterroles",),
        ("roles", "-n", "kube-system"),
        ("rolebindings", "-n", "kube-system"),
        ("roles", "-n", "kube-public"),
        ("rolebindings", "-n", "kube-public"),
        ("configmaps", "-n", "kube-system"),
        ("configmaps", "-n", "kube-public"),
        ("deployments", "-n", "kube-system"),
        ("daemonsets", "-n", "kube-system"),
        ("services", "-n", "kube-system"),
    )
    for kind in kinds:
        one, two = _comparable(ours, kind), _comparable(theirs, kind)
        assert differences(two, one) == [], kind


_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "ownerReferences")


def _comparable(node: KubeNode, kind: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in get(node, *kind)["items"]:  # type: ignore[attr-defined]
        for name in _VOLATILE:
            one["metadata"].pop(name, None)
        one.pop("status", None)
        if one["metadata"].get("labels", {}).get("kubernetes.io/bootstrapping") == "rbac-defaults":
            # The API server's own.
            continue
        data = one.get("data", {})
        if "kubeconfig" in data:
            data["kubeconfig"] = data["kubeconfig"][:20]
        for key in [key for key in data if key.startswith("jws-") or key.endswith("ca.crt") or key == "ca.crt"]:
            data.pop(key)
        for made in ("kubeadm.kubernetes.io/component-config.hash", "deployment.kubernetes.io/revision"):
            # The hash is of what was compared; the revision is given by a controller, some time later.
            one["metadata"].get("annotations", {}).pop(made, None)
        if not one["metadata"].get("annotations", True):
            del one["metadata"]["annotations"]
        found[one["metadata"]["name"]] = json.loads(json.dumps(one).replace(node.address, "ADDRESS").replace(node.name, "NODE"))
    # These two are made by components of Kubernetes, some time after init.
    return {name: one for name, one in found.items() if name not in ("extension-apiserver-authentication", "kube-root-ca.crt")}


@pytest.mark.parametrize(
    "moment",
    ["line kubelet-start #4", "progress promote", "line mark-control-plane"],
    ids=["kubelet", "vote", "mark"],
)
def test_a_killed_join_is_finished_by_the_same_command(lab: KubeLab, moment: str) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    words = joining.control_plane(second)
    kill_at(second, moment, "quorate", "join", *words, "--node-name", second.name)
    joined(second, words)
    assert members(first) == {"cp1": "voter", "cp2": "voter"}
    ready(first, "cp1", "cp2")
    assert not second.path("/etc/kubernetes/.quorate-run.json").exists()


def test_a_killed_init_is_finished_by_the_same_command(lab: KubeLab) -> None:
    first = lab.node("cp1")
    command = ["quorate", "init", "--apiserver-advertise-address", first.address, "--node-name", first.name]
    kill_at(first, "line kubelet-check #2", *command)
    done = first.run(*command)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr
    assert "was cut off: resuming" in done.stderr
    ready(first, "cp1")
    again = first.run(*command)
    assert again.returncode == 2 and "already exists" in again.stderr


def test_what_is_not_to_be_trusted_is_refused(lab: KubeLab) -> None:
    """Wrong token, pin, key, name; a cluster-info that was tampered with. Nothing is left behind, no secret is printed."""
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    token_id = joining.token.partition(".")[0]
    wrong = f"{token_id}.0123456789abcdef"
    endpoint = joining.endpoint
    cases = {
        ("--token", wrong, "--discovery-token-ca-cert-hash", joining.pin): "cluster-info does not match the token",
        ("--token", "zzzzzz.0123456789abcdef", "--discovery-token-ca-cert-hash", joining.pin): "is unknown to the cluster",
        ("--token", joining.token, "--discovery-token-ca-cert-hash", "sha256:" + "0" * 64): "none of the given hashes",
    }
    for words, said in cases.items():
        failed = second.run("quorate", "join", endpoint, *words, "--node-name", "cp2")
        assert failed.returncode == 2 and said in failed.stderr, failed.stderr
        assert "0123456789abcdef" not in failed.stdout + failed.stderr
    key = ["--control-plane", "--certificate-key", "f" * 64, "--apiserver-advertise-address", second.address]
    failed = join(second, [*joining.worker, *key])
    assert failed.returncode == 3 and "cannot be decrypted with this certificate key" in failed.stderr, failed.stderr
    failed = second.run("quorate", "join", *joining.worker, "--node-name", "cp1")
    assert failed.returncode == 2 and 'a Node with name "cp1" and status "Ready"' in failed.stderr, failed.stderr
    assert first.kubectl("get", "node", "cp1").returncode == 0, "somebody else's node is not deleted"
    info = first.kubectl("-n", "kube-public", "get", "cm", "cluster-info", "-o", "jsonpath={.data.kubeconfig}").stdout
    patch = json.dumps({"data": {"kubeconfig": info.replace(first.address, "10.78.0.99")}})
    # The controller manager would sign it anew at once: it is stopped first.
    first.path("/etc/kubernetes/manifests/kube-controller-manager.yaml").unlink()
    until(lambda: not first.runs("kube-controller"), 60, "the controller manager has ended")
    assert first.kubectl("-n", "kube-public", "patch", "cm", "cluster-info", "-p", patch).returncode == 0
    failed = join(second, joining.worker)
    assert failed.returncode == 2 and "cannot be trusted" in failed.stderr, failed.stderr
    left = [path for path in second.path("/etc/kubernetes").rglob("*") if path.is_file()]
    assert left == [] and members(first) == {"cp1": "voter"}


def test_a_reset_that_would_cost_the_quorum_stops(lab: KubeLab) -> None:
    """Of two members one is away: the other must not leave, and its data must stay. kubeadm wipes it."""
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    joined(second, joining.control_plane(second))
    first.halt()
    done = second.quorate("reset", "--force", timeout=120)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "was not touched" in done.stderr and "--abandon-etcd-member" in done.stderr
    assert list(second.path("/var/lib/etcd").iterdir()) and second.path("/etc/kubernetes/admin.conf").exists()
    done = second.quorate("reset", "--force", "--abandon-etcd-member", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(second.path("/var/lib/etcd").iterdir())


def test_the_only_member_resets_without_being_removed(lab: KubeLab) -> None:
    first = lab.node("cp1")
    init(first)
    done = first.quorate("reset", "--force")
    assert done.returncode == 0 and "the cluster ends with it" in done.stdout, done.stdout + done.stderr
    assert parse(str(init_again(first)))


def init_again(node: KubeNode) -> str:
    """The same host can be a first node again."""
    address = ["--apiserver-advertise-address", node.address, "--control-plane-endpoint", node.address]
    done = node.run("quorate", "init", *address, "--node-name", node.name, "--upload-certs")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def test_the_doctor_names_what_is_wrong_and_what_mends_it(lab: KubeLab) -> None:
    first = lab.node("cp1")
    init(first)
    ready(first, "cp1")
    well = first.quorate("doctor", "-o", "json")
    assert well.returncode == 0, well.stdout + well.stderr
    assert "etcd has 1 member now: 0 may fail" in well.stdout
    first.path("/etc/kubernetes/manifests/etcd.yaml").write_text(
        first.path("/etc/kubernetes/manifests/etcd.yaml").read_text().replace("--name=cp1", "--name=cp1\n    - --no-such-flag")
    )
    until(lambda: "no-such-flag" in first.quorate("doctor").stdout, 60, "the doctor sees it")
    ill = first.quorate("doctor", "-o", "json")
    found = json.loads(ill.stdout)
    assert ill.returncode == 1 and not found["healthy"]
    pods = [one for one in found["findings"] if one["name"] == "pods" and one["text"].startswith("etcd")]
    assert pods and "no-such-flag" in pods[0]["text"] and pods[0]["advice"].startswith("crictl")
