"""Joins beside the plain one: two at once, by a file, with a wrong clock, of the wrong cluster; and what is kept secret."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest
import schemas

from e2e.kubelab import KubeLab, KubeNode, run
from e2e.steps import Joining, files_left, get, init, join, joined, members, ready
from quorate.kube.tokens import Token, sign

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

# What the clock of one process says: a day later.
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long shift(void) { const char *given = getenv("CLOCK_SHIFT"); return given ? atol(given) : 0; }
int clock_gettime(clockid_t id, struct timespec *at) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, at);
  if (id == CLOCK_REALTIME) at->tv_sec += shift();
  return done;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
int gettimeofday(struct timeval *at, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
"""


def test_two_joins_at_once_queue_and_both_get_there(lab: KubeLab) -> None:
    """Meanwhile nobody reads a secret in the list of processes, and none lies in a file that all can read."""
    first, second, third = (lab.node(name) for name in ("cp1", "cp2", "cp3"))
    joining = init(first)
    said: dict[str, str] = {}
    seen: set[str] = set()

    def go(node: KubeNode) -> None:
        # By a file, not by flags: what is on the command line is the user's own to hide.
        node.path("/etc/join.yaml").write_text(join_file(node, joining))
        done = node.quorate("join", "--config", "/etc/join.yaml")
        said[node.name] = done.stdout[-2000:] + done.stderr if done.returncode else ""

    threads = [threading.Thread(target=go, args=(node,)) for node in (second, third)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen |= {text for node in (second, third) for pid in node.processes() for text in arguments(pid)}
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert said == {"cp2": "", "cp3": ""}
    assert members(first) == {"cp1": "voter", "cp2": "voter", "cp3": "voter"}
    secrets = (joining.key, joining.token.partition(".")[2])
    assert [text for text in seen if any(secret in text for secret in secrets)] == []
    assert any("kubelet" in text for text in seen), "the list of processes was looked at"
    for node in (first, second, third):
        assert open_secrets(node, secrets) == []


def join_file(node: KubeNode, joining: Joining) -> str:
    return f"""apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration: {{name: {node.name}}}
discovery:
  bootstrapToken: {{apiServerEndpoint: '{joining.endpoint}', token: {joining.token}, caCertHashes: ['{joining.pin}']}}
controlPlane: {{certificateKey: {joining.key}, localAPIEndpoint: {{advertiseAddress: {node.address}}}}}
"""


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def open_secrets(node: KubeNode, secrets: tuple[str, ...]) -> list[str]:
    """Files that everybody may read and that hold a private key, or one of these."""
    found: list[str] = []
    for top in ("/etc/kubernetes", "/var/lib/kubelet", "/var/log/pods", "/etc/systemd"):
        for path in node.path(top).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o004:
                content = path.read_text(errors="replace")
                if "PRIVATE KEY" in content or any(secret in content for secret in secrets):
                    found.append(str(path))
    return found


def test_a_worker_by_a_file_and_with_events(lab: KubeLab) -> None:
    first, worker = lab.node("cp1"), lab.node("w1")
    joining = init(first)
    info = first.kubectl("-n", "kube-public", "get", "cm", "cluster-info", "-o", "jsonpath={.data.kubeconfig}").stdout
    worker.path("/etc/cluster.yaml").write_text(info)
    bare = worker.run("quorate", "join", "--discovery-file", "/etc/cluster.yaml", "--node-name", "w1")
    assert bare.returncode == 3 and "no credentials" in bare.stderr, bare.stderr
    by_file = ["--discovery-file", "/etc/cluster.yaml", "--tls-bootstrap-token", joining.token]
    done = worker.run("quorate", "join", *by_file, "--node-name", "w1", "-o", "json")
    assert done.returncode == 0, done.stderr
    schemas.checked(done.stdout)
    *events, result = map(json.loads, done.stdout.splitlines())
    ended = [one["phase"] for one in events if one["event"] == "phase" and not one["failed"]]
    assert ended[0] == "preflight" and "kubelet-wait-bootstrap" in ended
    assert result["event"] == "result" and "This node has joined the cluster" in result["closing"]
    assert [row["phase"] for row in result["phases"]] == ended
    ready(first, "cp1", "w1")
    # The controller that signs is at work since, and has found init's signature right.
    data = get(first, "cm", "cluster-info", "-n", "kube-public")["data"]
    assert isinstance(data, dict)
    token = Token.parse(joining.token)
    assert data[f"jws-kubeconfig-{token.id}"] == sign(data["kubeconfig"], token)
    pulled = first.quorate("config", "images", "pull", "--kubernetes-version=v1.34.4")
    assert pulled.returncode == 0 and pulled.stdout.count("registry.k8s.io/") == 7, pulled.stdout + pulled.stderr
    nowhere = first.quorate("config", "images", "pull", "--kubernetes-version=v1.34.4", "--image-repository=127.0.0.1:9")
    assert nowhere.returncode != 0 and "127.0.0.1:9/kube-apiserver:v1.34.4" in nowhere.stderr, nowhere.stdout + nowhere.stderr


def test_a_wrong_clock_and_a_wrong_cluster_are_named(lab: KubeLab) -> None:
    first, second, worker = lab.node("cp1"), lab.node("cp2"), lab.node("w1")
    joining, other = init(first), init(second)
    source, shim = lab.folder / "clock.c", lab.folder / "clock.so"
    source.write_text(CLOCK)
    run("cc", "-shared", "-fPIC", "-o", str(shim), str(source), "-ldl")
    words = ["quorate", "join", *joining.worker, "--node-name", "w1"]
    late = worker.run(*words, LD_PRELOAD=str(shim), CLOCK_SHIFT="86400")
    assert late.returncode == 2 and re.search(r"ClockSkew.* 1 day.* ahead of that of the API server", late.stderr), late.stderr
    early = worker.run(*words, LD_PRELOAD=str(shim), CLOCK_SHIFT="-86400")
    assert early.returncode == 2 and "not yet valid" in early.stderr and "correct the clock" in early.stderr, early.stderr
    stranger = worker.run("quorate", "join", other.endpoint, *joining.worker[1:], "--node-name", "w1")
    assert stranger.returncode == 2 and "is unknown to the cluster" in stranger.stderr, stranger.stderr
    mixed = [other.endpoint, "--token", other.token, "--discovery-token-ca-cert-hash", joining.pin, "--node-name", "w1"]
    assert "none of the given hashes matches" in worker.run("quorate", "join", *mixed).stderr
    bare = worker.run("quorate", "join", joining.endpoint, "--token", joining.token, "--node-name", "w1")
    assert bare.returncode == 3 and "without the hash" in bare.stderr, bare.stderr
    short = worker.run("quorate", "join", joining.endpoint, "--token", "abc", *joining.worker[3:], "--node-name", "w1")
    assert short.returncode == 3 and "token" in short.stderr, short.stderr
    assert files_left(worker) == []
    # A token is for more than one node; a day later it is for none, and that is said.
    joined(worker, joining.worker)
    assert first.quorate("token", "create", "abcdef.0123456789abcdef", "--ttl", "1s").returncode == 0
    third = lab.node("cp3")
    gone = join(third, [joining.endpoint, "--token", "abcdef.0123456789abcdef", *joining.worker[3:]])
    assert gone.returncode == 2 and "has expired" in gone.stderr, gone.stderr
