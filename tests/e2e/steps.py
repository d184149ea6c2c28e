"""What the tests do with nodes, in a word each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import schemas

from e2e.kubelab import KubeNode, until

_ETCD_PKI = "/etc/kubernetes/pki/etcd"
ETCD = (f"--cacert={_ETCD_PKI}/ca.crt", f"--cert={_ETCD_PKI}/server.crt", f"--key={_ETCD_PKI}/server.key")


@dataclass(frozen=True)
class Joining:
    """What init says of how further nodes join."""

    endpoint: str
    token: str
    pin: str
    key: str

    @property
    def worker(self) -> list[str]:
        return [self.endpoint, "--token", self.token, "--discovery-token-ca-cert-hash", self.pin]

    def control_plane(self, node: KubeNode) -> list[str]:
        mine = ["--apiserver-advertise-address", node.address]
        return [*self.worker, "--control-plane", "--certificate-key", self.key, *mine]


def parse(text: str) -> Joining:
    flat = text.replace("\\\n", " ")
    endpoint = re.search(r"(?:kubeadm|quorate) join (\S+)", flat)
    token, pin = re.search(r"--token (\S+)", flat), re.search(r"ca-cert-hash (\S+)", flat)
    key = re.search(r"--certificate-key (\S+)", flat)
    assert endpoint and token and pin and key, text
    return Joining(endpoint[1], token[1], pin[1], key[1])


def init_words(node: KubeNode) -> list[str]:
    """For the first node, at its own address."""
    address = ["--apiserver-advertise-address", node.address, "--control-plane-endpoint", node.address]
    return ["init", *address, "--node-name", node.name, "--upload-certs"]


def init(node: KubeNode, tool: str = "quorate", *more: str) -> Joining:
    version = ["--kubernetes-version=v1.34.4"] if tool == "kubeadm" else []
    done = node.run(tool, *init_words(node), *version, *more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return parse(done.stdout)


def join(node: KubeNode, words: list[str], tool: str = "quorate", *more: str) -> subprocess.CompletedProcess[str]:
    return node.run(tool, "join", *words, "--node-name", node.name, *more)


def joined(node: KubeNode, words: list[str], tool: str = "quorate", *more: str) -> str:
    done = join(node, words, tool, *more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def members(node: KubeNode) -> dict[str, str]:
    """Name (or id while it has none) to role, as this node's etcd says."""
    done = node.run("etcdctl", "--endpoints=https://127.0.0.1:2379", *ETCD, "member", "list", "-w", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["members"]
    return {row.get("name") or str(row["ID"]): "learner" if row.get("isLearner") else "voter" for row in rows}


def ready(node: KubeNode, *names: str, seconds: float = 60) -> None:
    """Wait until the cluster calls these nodes Ready."""
    until(lambda: set(names) <= _ready(node), seconds, f"{', '.join(names)} are Ready")


def _ready(node: KubeNode) -> set[str]:
    done = node.kubectl("get", "nodes", "-o", "json")
    if done.returncode != 0:
        return set()
    found = json.loads(done.stdout)["items"]
    return {
        one["metadata"]["name"]
        for one in found
        if any(row["type"] == "Ready" and row["status"] == "True" for row in one["status"].get("conditions", []))
    }


def get(node: KubeNode, *what: str) -> dict[str, object]:
    done = node.kubectl("get", *what, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


Action = Callable[["subprocess.Popen[str]"], object]


Moment = str
"""An event of `-o json` by its kind and its phase, level or kind of object, and which of them: "line certs", "progress
promote", "made member", "line kubelet-start #3". The words of a message may change; these are promised."""


def at_events(node: KubeNode, actions: Sequence[tuple[Moment, Action]], *command: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run a command of ours and do each thing, in order, as soon as its event is printed; returns the exit code, the events,
    and all that was printed on both streams. All actions must have been done."""
    environment = {**node.environment, "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        node.command(*command, "-o", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=node.folder,
    )
    assert running.stdout is not None
    left, said, events, seen = list(actions), "", list[dict[str, Any]](), Counter[str]()
    for line in running.stdout:
        said += line
        if not line.startswith('{"event"'):
            continue
        event: dict[str, Any] = json.loads(line)
        events.append(event)
        name = _name(event)
        seen[name] += 1
        if left and left[0][0] in (name, f"{name} #{seen[name]}"):
            left.pop(0)[1](running)
    running.stdout.close()
    code = running.wait()
    assert not left, f"it ended before {left[0][0]!r}:\n{said[-3000:]}"
    schemas.checked("\n".join(json.dumps(event) for event in events))
    return code, events, said


def _name(event: dict[str, Any]) -> Moment:
    what = {"note": "level", "made": "kind"}.get(event["event"], "phase")
    return f"{event['event']} {event.get(what, '')}".strip()


def error_of(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the last event of a run that failed says."""
    assert events and events[-1]["event"] == "error", events[-3:]
    error: dict[str, Any] = events[-1]["error"]
    return error


def kill_at(node: KubeNode, moment: Moment, *command: str) -> None:
    """SIGKILL as soon as the event is printed."""
    code, _events, _said = at_events(node, [(moment, lambda running: os.kill(running.pid, signal.SIGKILL))], *command)
    assert code == -signal.SIGKILL


def files_left(node: KubeNode) -> list[str]:
    """What there is of a control plane on a node, beside folders."""
    tops = ("/etc/kubernetes", "/var/lib/etcd")
    return [str(path) for top in tops for path in node.path(top).rglob("*") if path.is_file()]


def taken_off(other: KubeNode, node: KubeNode) -> None:
    """Reset a node and delete its object, so that it can come again."""
    done = node.quorate("reset", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr, done.stderr
    assert not node.runs("kube-"), done.stderr
    assert other.kubectl("delete", "node", node.name, "--ignore-not-found").returncode == 0


@contextmanager
def etcd_flag(node: KubeNode, *flags: str) -> Iterator[None]:
    """Patches in /etc/patches that give its etcd these flags behind its own."""
    node.path("/etc/patches").mkdir(exist_ok=True)
    patch = node.path("/etc/patches/etcd+json.yaml")
    patch.write_text("".join(f"- op: add\n  path: /spec/containers/0/command/-\n  value: {flag}\n" for flag in flags))
    try:
        yield
    finally:
        patch.unlink()
