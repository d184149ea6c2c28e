"""Phase wait-control-plane: waits until the kubelet and the components of this node are healthy. A component that cannot start
is recognised early and named."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field

from quorate.config.components import HEALTHZ_PORT
from quorate.config.duration import Duration
from quorate.deadline import Deadline, poll
from quorate.errors import ConfigError, HostError
from quorate.foreign.documents import read_mapping
from quorate.foreign.http import Connection, HttpFailed, Request, site_of, split_url
from quorate.foreign.values import integer_of, mapping_of, rows_of, text_of
from quorate.host import kubelet
from quorate.host.crash_counter import CrashCounter
from quorate.host.cri import CriError, Runtime
from quorate.host.last_words import of_container
from quorate.kube import tls
from quorate.phases.base.context import Context
from quorate.phases.base.heartbeat import Heartbeat
from quorate.phases.node import kubelet_files
from quorate.phases.node.static_pods import manifest, manifest_path
from quorate.phases.start import staged_start
from quorate.report import Notice

PHASE, KUBELET_CHECK, CHECK = "wait-control-plane", "kubelet-check", "control-plane-check"
API_SERVER = "kube-apiserver"
COMPONENTS = (API_SERVER, *staged_start.NAMES)
_POLL_SECONDS = 0.2
_START_SECONDS = 10.0
_ASK_SECONDS, _MOST_BYTES = 2.0, 1 << 20
_LOG_BYTES = 1 << 18
_CRASHES = 3
"""Exits of a container after which waiting ends: the kubelet's restart back-off only grows."""


def run(context: Context) -> None:
    """Waits for the kubelet and the components. Raises `HostError` naming what is not healthy, and the reason that this host
    shows."""
    if context.dry_run:
        context.say(PHASE, "Would wait for the kubelet and the control plane")
        staged_start.start(context)
        return
    wait_kubelet(context)
    wait_components(context)


def wait_kubelet(context: Context) -> None:
    port = kubelet_files.node_configuration(context).get("healthzPort", HEALTHZ_PORT)
    if not port:
        return
    seconds = _seconds(context.timeouts.kubelet_health_check)
    context.say(
        KUBELET_CHECK, f"Waiting for a healthy kubelet at http://127.0.0.1:{port}/healthz. This can take up to {seconds:.0f} s"
    )
    began = context.clock.now()
    _until(context, seconds, "the kubelet", lambda: kubelet.health(port))
    context.say(KUBELET_CHECK, f"The kubelet is healthy after {context.clock.now() - began:.1f} s")


def _until(context: Context, seconds: float, what: str, ask: Callable[[], str], look: Callable[[], None] | None = None) -> None:
    """Asks until the answer is empty; `look` raises when waiting cannot help. Raises `HostError` after `seconds`."""
    deadline = Deadline(context.clock, seconds, what)
    heartbeat = Heartbeat(context.clock, context.report, what, seconds)
    answers = [""]

    def healthy() -> bool | None:
        answers.append(ask())
        if not answers[-1]:
            return True
        if look is not None:
            look()
        heartbeat.beat(answers[-1])
        return None

    if poll(healthy, context.clock, deadline, every=_POLL_SECONDS):
        return
    raise HostError(
        f"{what} is not healthy after {seconds:.0f} s: {answers[-1]}",
        state="the files made so far are kept; running the same command again resumes from them",
        advice="'journalctl -u kubelet' shows what the kubelet does, 'crictl ps -a' which containers exited",
    )


def wait_started(context: Context) -> None:
    """Waits until the kubelet has started its components, also one that exited at once. The wait is short and raises nothing:
    phase wait-control-plane checks whether they work."""
    deadline = Deadline(context.clock, _START_SECONDS, "the kubelet has started the control plane")
    with suppress(CriError), Runtime.connect(context.cri_socket, context.clock.cancel) as runtime:
        wanted = [name for name in COMPONENTS if context.tree.is_file(manifest_path(name))]
        poll(lambda: all(_was_started(runtime, name) for name in wanted) or None, context.clock, deadline, every=_POLL_SECONDS)


def _was_started(runtime: Runtime, name: str) -> bool:
    attempts = runtime.containers(name)
    return bool(attempts) and bool(attempts[0].running or runtime.container_end(attempts[0].id).finished_at)


def wait_components(context: Context) -> None:
    """Waits for all components in parallel; one that cannot start ends the wait for all. A component without a manifest,
    because its phase was skipped, is left to the user."""
    checks = {name: _url(name, pod) for name in COMPONENTS if (pod := manifest(context, name))}
    seconds = _seconds(context.timeouts.control_plane_component_health_check)
    context.say(CHECK, f"Waiting for healthy control plane components. This can take up to {seconds:.0f} s")
    for name, url in checks.items():
        context.say(CHECK, f"Checking {name} at {url}")
    together = HealthWait(context, seconds)
    if API_SERVER not in checks:
        together.healthy.set()
    with (
        Runtime.connect(context.cri_socket, context.clock.cancel) as runtime,
        futures.ThreadPoolExecutor(len(COMPONENTS) + 1) as pool,
    ):
        waits = [pool.submit(together.wait, CrashWatch(context, runtime, name), name, url) for name, url in checks.items()]
        waits.append(pool.submit(together.start_clients))
        done, _ = futures.wait(waits, return_when=futures.FIRST_EXCEPTION)
        together.in_vain.set()
    for one in (one for one in waits if one in done):
        one.result()


@dataclass(frozen=True, slots=True)
class HealthWait:
    """The state that parallel waits share. `in_vain`: one of them failed. `healthy`: the API server is healthy. `started`: its
    clients were started; their time begins there."""

    context: Context
    seconds: float
    in_vain: threading.Event = field(default_factory=threading.Event)
    healthy: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    def wait(self, crashes: CrashWatch, name: str, url: str) -> None:
        clock = self.context.clock
        while name != API_SERVER and not self.started.wait(_POLL_SECONDS):
            if self.in_vain.is_set():
                return

        def look() -> None:
            if self.in_vain.is_set():
                raise HostError(f"the wait for {name} ended because another component failed")
            crashes.check()

        began = clock.now()
        trust = _trust(self.context) if name == API_SERVER else tls.unverified()
        with Connection(site_of(url, trust), cancel=clock.cancel) as http:
            _until(self.context, self.seconds, name, lambda: _ask(http, url), look)
        self.context.say(CHECK, f"{name} is healthy after {clock.now() - began:.1f} s")
        if name == API_SERVER:
            self.healthy.set()

    def start_clients(self) -> None:
        """Starts the API server's clients when it has their roles; at the latest when it is healthy."""
        while staged_start.are_waiting(self.context) and not self.healthy.wait(_POLL_SECONDS):
            self.context.clock.cancel.check()
            if self.in_vain.is_set():
                return
            staged_start.start_if_let_in(self.context)
        staged_start.start(self.context)
        self.started.set()


def _ask(http: Connection, url: str) -> str:
    """Returns why the component is not healthy; empty when it is. Any user of this host may have taken the port first: two of
    the three are not verified."""
    try:
        answer = http.ask(Request("GET", split_url(url).path), seconds=_ASK_SECONDS, most_bytes=_MOST_BYTES)
    except HttpFailed as error:
        return f"{error.what}: {error.certificate}" if error.certificate else error.what
    return "" if answer.status == 200 else f"HTTP {answer.status}"


def _trust(context: Context) -> ssl.SSLContext:
    return tls.context(context.tree.read(context.pki("ca.crt")) or b"")


def _url(name: str, pod: bytes) -> str:
    """Returns the URL of the liveness probe in the component's manifest. Raises `ConfigError` for a manifest without one."""
    where = f"the manifest of {name}"
    spec = mapping_of(read_mapping(pod, where).get("spec"))
    container = next(iter(rows_of(spec.get("containers"))), {})
    get = mapping_of(mapping_of(container.get("livenessProbe")).get("httpGet"))
    wanted = get.get("port")
    named = (row.get("containerPort") for row in rows_of(container.get("ports")) if row.get("name") == wanted)
    port = integer_of(next(named, wanted))
    if not 0 < port < 65536:
        raise ConfigError(f"{where} has no liveness probe with a port", advice="correct it, or the patch that changes it")
    host = text_of(get.get("host")) or "127.0.0.1"
    return f"https://{f'[{host}]' if ':' in host else host}:{port}{text_of(get.get('path'), '/healthz')}"


class CrashWatch:
    """The watch that ends the wait for a component whose container crash-loops."""

    def __init__(self, context: Context, runtime: Runtime, name: str) -> None:
        self._context, self._runtime, self._name = context, runtime, name
        self._crashes = CrashCounter(_CRASHES)
        self._told = ""

    def check(self) -> None:
        """Raises `HostError` with the container's last words when it has exited so often that waiting cannot help."""
        context, runtime = self._context, self._runtime
        try:
            attempts = runtime.containers(self._name)
            end = self._crashes.last_end(runtime, attempts[0]) if attempts else None
        except CriError as error:
            if error.what != self._told:
                context.report(Notice(error.what, "warning"))
            self._told = error.what
            return
        if end is not None:
            raise HostError(
                f"{self._name} cannot start: its container exited {self._crashes.ends(attempts[0])} times, "
                f"last with exit code {end.exit_code}. "
                f"{last_words(context, end.log_path)}",
                state="the files made so far are kept",
                advice=f"fix what its log complains of, then run the same command again; the log is {end.log_path}",
            )


def last_words(context: Context, log_path: str) -> str:
    """Returns why a container exited, as far as its log on this node shows."""
    return of_container((context.tree.tail(log_path, _LOG_BYTES) if log_path else None) or b"")


def _seconds(given: Duration | None) -> float:
    return given.seconds if given is not None else 240.0
