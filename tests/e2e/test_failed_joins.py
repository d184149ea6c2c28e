"""Joins whose etcd cannot start: named within half a minute and rolled back, so that the next join finds nothing in its way."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import Joining, etcd_flag, files_left, init, join, joined, members
from quorate.pki.certificates import make_ca

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LISTENER = "import socket, time; kept = socket.create_server(('0.0.0.0', 2380)); time.sleep(300)"


@contextmanager
def bad_flag(node: KubeNode) -> Iterator[tuple[str, ...]]:
    with etcd_flag(node, "--no-such-flag=1"):
        yield ()


@contextmanager
def taken_port(node: KubeNode) -> Iterator[tuple[str, ...]]:
    node.serve("listener", sys.executable, "-c", LISTENER)
    listener = node.services.pop()
    until(lambda: "2380" in node.run("ss", "-Hltn", "sport = :2380").stdout, 10, "somebody else has the port")
    try:
        yield ("--ignore-preflight-errors=Port-2380",)
    finally:
        listener.kill()
        listener.wait()


@contextmanager
def missing_image(node: KubeNode) -> Iterator[tuple[str, ...]]:
    name = node.quorate("config", "images", "list", "--kubernetes-version=v1.34.4").stdout.split()[-1]
    assert "/etcd:" in name
    assert node.run("ctr", "-n", "k8s.io", "images", "rm", "--sync", name).returncode == 0
    try:
        # Without a way out, preflight alone would try to fetch it for most of a minute.
        yield ("--skip-phases=preflight",)
    finally:
        node.load_images()


@contextmanager
def refused_certificate(node: KubeNode) -> Iterator[tuple[str, ...]]:
    """A peer certificate of another authority, as one that was copied from another cluster."""
    folder = "/etc/kubernetes/pki/etcd"
    node.path(folder).mkdir(parents=True, exist_ok=True)
    foreign = make_ca("foreign", now=datetime.now(UTC))
    node.path(f"{folder}/foreign.crt").write_bytes(foreign.certificate_pem())
    node.path(f"{folder}/foreign.key").write_bytes(foreign.key_pem().reveal())
    try:
        with etcd_flag(node, f"--peer-cert-file={folder}/foreign.crt", f"--peer-key-file={folder}/foreign.key"):
            yield ()
    finally:
        for name in ("crt", "key"):
            node.path(f"{folder}/foreign.{name}").unlink()


CASES = {
    "no-such-flag": bad_flag,
    "address already in use": taken_port,
    "is not on this node": missing_image,
    "certificate": refused_certificate,
}


def test_every_way_in_which_an_etcd_cannot_start(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    for words, broken in CASES.items():
        with broken(second) as flags:
            check_failed(first, second, joining, words, flags)
        assert files_left(second) == [], words
    joined(second, joining.control_plane(second))
    assert members(first) == {"cp1": "voter", "cp2": "voter"}


def check_failed(first: KubeNode, second: KubeNode, joining: Joining, words: str, flags: tuple[str, ...]) -> None:
    began = time.monotonic()
    failed = join(second, joining.control_plane(second), "quorate", "--patches", "/etc/patches", *flags)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert time.monotonic() - began < 60
    assert words in failed.stderr and "rolled back" in failed.stderr, failed.stderr
    assert members(first) == {"cp1": "voter"}, words
    nodes = first.kubectl("get", "nodes", "-o", "name").stdout.split()
    assert nodes == ["node/cp1"], words
    assert not second.runs("kube") and not second.runs("etcd"), words
