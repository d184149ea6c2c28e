"""Phase preflight: checks this host once and reports every finding. Errors end the run before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quorate.core.finding import Finding
from quorate.host.cri import CriError
from quorate.host.node import NodeFacts, gather
from quorate.manifests import images
from quorate.phases.base.context import Context
from quorate.phases.node import run_marker, static_pods
from quorate.preflight import external_etcd, node
from quorate.preflight.images import pull
from quorate.preflight.node import Check, NodeCase
from quorate.report import Notice

PHASE = "preflight"


def check_init_node(context: Context) -> list[Finding]:
    """Checks the first node: it runs a control plane, and needs its images. Raises `ConfigError` for a manifest that could not
    be written."""
    static_pods.check_manifests(context)
    resumed = is_resumed(context, "init")
    return run_checks(
        context, node.INIT, facts_of(context), wants_images=True, resumed=resumed, more=external_findings(context)
    )


def is_resumed(context: Context, command: str) -> bool:
    """Returns whether this run resumes one that was cut off here. Warns where it would, had no other program worked on this
    node since."""
    path = run_marker.void_since(context, command)
    if path:
        text = f"an earlier {command} of this node was cut off, and another program wrote {path} since: nothing here is its own"
        context.report(Notice(text, "warning"))
    return run_marker.is_resumed(context, command)


def external_findings(context: Context) -> Iterator[Finding]:
    """Yields the findings about an external etcd. Its client certificates must be on this node."""
    external = context.cluster.etcd.external
    if external is not None:
        yield from external_etcd.check(external, context.minor)


def run_checks(
    context: Context,
    checks: tuple[Check, ...],
    facts: NodeFacts,
    *,
    wants_images: bool = False,
    resumed: bool = False,
    more: Iterable[Finding] = (),
) -> list[Finding]:
    """Reports warnings; raises `PreflightFailed` for errors. Images are pulled last: pulling takes long, and is useless if a
    check fails. `facts`: of this host. `resumed`: the same command was cut off here, and what it made is no obstacle. `more`:
    findings of other checks."""
    context.say(PHASE, "Running pre-flight checks")
    ignored = context.registration.ignore_preflight_errors
    found = node.judge(case_of(context, facts), checks, ignored)
    found = node.without_leftovers(found) if resumed else found
    found += node.lenient(list(more), ignored)
    _tell(context, found)
    if wants_images:
        found += _pull(context, ignored)
    return found


def _pull(context: Context, ignored: tuple[str, ...]) -> list[Finding]:
    registration = context.registration
    wanted = images.all_images(context.cluster)
    if context.dry_run:
        context.say(PHASE, f"Would pull the required images: {' '.join(wanted)}")
        return []
    context.say(PHASE, "Pulling images required for setting up a Kubernetes cluster")

    def told(image: str) -> None:
        context.say(PHASE, f"Pulling {image}")

    try:
        missing = list(pull(context.cri_socket, wanted, registration.image_pull_policy, told))
    except CriError as error:
        missing = [Finding("ImagePull", "error", error.what)]
    found = node.lenient(missing, ignored)
    _tell(context, found)
    return found


def judged(context: Context, found: list[Finding]) -> list[Finding]:
    """Reports the findings of other checks under the same rules, and returns them. Raises `PreflightFailed`."""
    lenient = node.lenient(found, context.registration.ignore_preflight_errors)
    _tell(context, lenient)
    return lenient


def _tell(context: Context, found: list[Finding]) -> None:
    for finding in found:
        if finding.level == "warning":
            context.report(Notice(f"[{finding.name}] {finding.text}", "warning"))
    node.refuse(found)


def facts_of(context: Context) -> NodeFacts:
    """Asks this host: programs, ports, the kubelet's version, the container runtime."""
    ports = (
        context.endpoint.bind_port,
        node.SCHEDULER_PORT,
        node.CONTROLLER_PORT,
        node.KUBELET_PORT,
        *node.ETCD_PORTS,
    )
    return gather(
        ports=ports,
        node_name=context.registration.name,
        cri_socket=context.cri_socket,
        proxies=dict(context.host.proxy_env),
    )


def case_of(context: Context, facts: NodeFacts) -> NodeCase:
    return NodeCase(
        facts,
        context.cluster,
        context.registration.name,
        context.endpoint.advertise_address,
        context.endpoint.bind_port,
        lambda path: _has(context, path),
    )


def _has(context: Context, path: str) -> bool:
    """Returns whether the path is a file, or a folder with something in it."""
    return context.tree.is_file(path) or bool(context.tree.names(path))
