"""Phase preflight: this host looked at once, every finding said, errors stop before anything is changed."""

from __future__ import annotations

from quorate.core.preflight import Finding
from quorate.host.node import gather
from quorate.phases.context import Context
from quorate.preflight import node
from quorate.preflight.node import Check, NodeCase
from quorate.report import Notice

PHASE = "preflight"


def check_init_node(context: Context) -> None:
    run_checks(context, node.INIT)


def run_checks(context: Context, checks: tuple[Check, ...]) -> list[Finding]:
    """Says warnings; raises `PreflightFailed` for errors."""
    context.say(PHASE, "Running pre-flight checks")
    found = node.judge(case_of(context), checks, context.registration.ignore_preflight_errors)
    for finding in found:
        if finding.level == "warning":
            context.report(Notice(f"[{finding.name}] {finding.text}", "warning"))
    node.refuse(found)
    return found


def case_of(context: Context) -> NodeCase:
    ports = (
        context.endpoint.bind_port,
        node.SCHEDULER_PORT,
        node.CONTROLLER_PORT,
        node.KUBELET_PORT,
        *node.ETCD_PORTS,
    )
    facts = gather(
        ports=ports,
        node_name=context.registration.name,
        cri_socket=context.registration.cri_socket,
        proxies=dict(context.host.proxy_env),
    )
    return NodeCase(
        facts,
        context.cluster,
        context.registration.name,
        context.endpoint.advertise_address,
        context.endpoint.bind_port,
        lambda path: _has(context, path),
    )


def _has(context: Context, path: str) -> bool:
    """A file, or a folder with something in it."""
    return context.tree.is_file(path) or bool(context.tree.names(path))
