"""All targets: what reads, and by which grammar the parts of its inputs are changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz import etcd_readers as etcd
from fuzz import kube_readers as kube
from fuzz import node_readers as node
from fuzz.mutate import Kind
from quorate.errors import QuorateError

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """`read` returns, or raises a `QuorateError`; anything else is a finding."""

    name: str
    read: Callable[[bytes], None]
    kinds: tuple[Kind, ...]

    def corpus(self) -> list[Path]:
        return sorted((CORPUS / self.name).glob("*"))


def _told(content: bytes) -> None:
    """Does what it is told: to see that each fault is found."""
    kept: list[bytes] = []
    match content:
        case b"refuses":
            raise QuorateError("refused")
        case b"raises":
            raise IndexError("out of reach")
        case b"computes":
            end = time.process_time() + 3.0
            while time.process_time() < end:
                sum(range(1000))
        case b"waits":
            time.sleep(6.0)
        case b"grows":
            kept.append(b"x" * (300 << 20))


_ALL = (
    Target("config", kube.config, ("yaml",)),
    Target("kubeconfig", kube.kubeconfig, ("yaml",)),
    Target("discovery-file", kube.discovery_file, ("yaml",)),
    Target("cluster-info", kube.cluster_info, ("json",)),
    Target("cluster-config", kube.cluster_config, ("json",)),
    Target("api-answer", kube.api_answer, ("text", "text", "json")),
    Target("token-secret", kube.token_secret, ("json",)),
    Target("manifest", kube.manifest, ("yaml",)),
    Target("patches", kube.patches, ("text", "yaml")),
    Target("duration", kube.duration, ("text",)),
    Target("urls", kube.urls, ("text",)),
    Target("join-record", etcd.join_record, ("json",)),
    Target("replacement", etcd.replacement, ("json",)),
    Target("member-page", etcd.member_page, ("text", "text", "text", "json")),
    Target("member-list", etcd.member_list, ("message",)),
    Target("member-status", etcd.member_status, ("message",)),
    Target("version", etcd.version, ("text",)),
    Target("metrics", etcd.metrics, ("lines",)),
    Target("state-file", node.state_file, ("json",)),
    Target("process-file", node.process_file, ("json",)),
    Target("journal-file", node.journal_file, ("journal",)),
    Target("marker-file", node.marker_file, ("json",)),
    Target("lock-file", node.lock_file, ("json",)),
    Target("plan-file", node.plan_file, ("yaml",)),
    Target("write-ahead-log", node.write_ahead_log, ("text",)),
    Target("mount-table", node.mount_table, ("lines",)),
    Target("container-log", node.container_log, ("lines",)),
    Target("container-runtime", node.container_runtime, ("message",)),
    Target("certificate", node.certificate, ("pem", "pem")),
    Target("key", node.key, ("pem", "pem")),
    Target("ca-bundle", node.ca_bundle, ("pem",)),
    Target("http-answer", node.http_answer, ("lines",)),
    Target("shown-text", node.shown_text, ("text",)),
)
TARGETS = {target.name: target for target in _ALL}
ANY = {**TARGETS, "told": Target("told", _told, ("text",))}
