"""A control plane that lost the majority of its etcd is made anew from one node that is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import partial

import pytest

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import get, init, joined, members, ready

MANIFESTS = "/etc/kubernetes/manifests"


def note(node: KubeNode, name: str) -> None:
    done = node.kubectl("create", "configmap", name, "--from-literal=a=b")
    assert done.returncode == 0, done.stderr


def notes(node: KubeNode) -> set[str]:
    rows = get(node, "configmaps")["items"]
    assert isinstance(rows, list)
    return {row["metadata"]["name"] for row in rows}


def answers(node: KubeNode) -> bool:
    return node.kubectl("get", "--raw", "/readyz").stdout == "ok"


def held(node: KubeNode) -> list[str]:
    return sorted(one.name for one in node.path(MANIFESTS).iterdir() if one.name.startswith("."))


def killed(node: KubeNode, words: Sequence[str]) -> None:
    """Begin a command four times, and kill it later each time."""
    for seconds in (1.0, 4.0, 8.0, 16.0):
        running = subprocess.Popen(
            node.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=node.environment, cwd=node.folder
        )
        time.sleep(seconds)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.e2e
@pytest.mark.timeout(480)
def test_a_control_plane_is_made_anew_from_the_node_that_is_left(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    joined(second, joining.control_plane(second))
    healthy = first.quorate("recover", "--gone", "cp2", "--dry-run")
    assert healthy.returncode == 4 and "has a quorum: it is not lost" in healthy.stderr, healthy.stderr
    healthy = second.quorate("rejoin")
    assert healthy.returncode == 4 and "was not made by a recovery" in healthy.stderr, healthy.stderr
    for number in range(20):
        note(first, f"before-{number}")
    second.halt()
    asked = first.quorate("recover", "--dry-run")
    assert asked.returncode == 2 and "nothing is known of cp2" in asked.stderr, asked.stderr
    planned = first.quorate("recover", "--gone", "cp2", "--dry-run", "-o", "json")
    assert planned.returncode == 0, planned.stderr
    assert held(first) == [] and first.runs("etcd"), "a dry run changes nothing"
    done = first.quorate("recover", "--gone", "cp2", "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert held(first) == [] and members(first) == {"cp1": "voter"}
    until(lambda: answers(first), 120, "the API server answers")
    assert {f"before-{number}" for number in range(20)} <= notes(first)
    note(first, "after")
    ready(first, "cp1")
    again = first.quorate("recover", "--gone", "cp2")
    assert again.returncode == 4 and "was recovered already" in again.stderr, again.stderr
    second.boot()
    stopped = second.quorate("rejoin")
    assert stopped.returncode == 4 and "the kubelet of this node does not run" in stopped.stderr, stopped.stderr
    second.run("systemctl", "start", "kubelet")
    planned = second.quorate("rejoin", "--dry-run", "-o", "json")
    assert planned.returncode == 0, planned.stderr
    assert held(second) == [] and members(first) == {"cp1": "voter"}, "a dry run changes nothing"
    back = second.quorate("rejoin", "-o", "json")
    assert back.returncode == 0, back.stdout + back.stderr
    told = json.loads(back.stdout)
    assert second.path(told["kept"]).is_dir() and told["oldClusterId"] != told["clusterId"]
    assert held(second) == [] and members(second) == {"cp1": "voter", "cp2": "voter"}
    until(lambda: answers(second), 120, "its API server answers")
    assert {*(f"before-{number}" for number in range(20)), "after"} <= notes(second)
    ready(first, "cp1", "cp2")
    again = second.quorate("rejoin")
    assert again.returncode == 4 and "is a member of the new cluster" in again.stderr, again.stderr


@pytest.mark.e2e_long
@pytest.mark.timeout(1800)
def test_two_of_three_disks_are_wiped_and_the_run_is_killed(lab: KubeLab) -> None:
    first = lab.node("cp1")
    joining = init(first)
    for name in ("cp2", "cp3"):
        joined(lab.node(name), joining.control_plane(lab.node(name)))
    note(first, "before")
    for name in ("cp2", "cp3"):
        lab.node(name).halt()
    words = ("quorate", "recover", "--gone", "cp2", "--gone", "cp3")
    killed(first, words)
    done = first.quorate(*words[1:])
    assert done.returncode == 0 or "in use since" in done.stderr, done.stderr
    until(lambda: answers(first), 120, "the API server answers")
    assert "before" in notes(first) and members(first) == {"cp1": "voter"}
    for name in ("cp2", "cp3"):
        node = lab.node(name)
        if name == "cp3":
            # Its disk was replaced; what was on the other one is the old member's.
            shutil.rmtree(node.folder / "data/etcd/member")
        node.boot()
        node.run("systemctl", "start", "kubelet")
        killed(node, ("quorate", "rejoin"))
        done = node.quorate("rejoin")
        assert done.returncode == 0 or "is a member of the new cluster" in done.stderr, done.stderr
        until(partial(answers, node), 120, "its API server answers")
    assert members(first) == dict.fromkeys(("cp1", "cp2", "cp3"), "voter")
    ready(first, "cp1", "cp2", "cp3")
