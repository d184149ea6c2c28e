"""Phase wait-control-plane: until the kubelet and the components of this node say that they are well; what cannot start is
recognised early and named."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from concurrent import futures

import httpx
import yaml

from quorate.config.components import HEALTHZ_PORT
from quorate.config.duration import Duration
from quorate.deadline import Deadline
from quorate.errors import HostError
from quorate.host import kubelet
from quorate.host.cri import CriError, Runtime
from quorate.kube import tls
from quorate.phases import kubelet_files
from quorate.phases.context import Context
from quorate.phases.heartbeat import Heartbeat
from quorate.phases.static_pods import manifest_path
from quorate.report import Notice

PHASE, KUBELET_CHECK, CHECK = "wait-control-plane", "kubelet-check", "control-plane-check"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_POLL_SECONDS = 0.2
_MOST_LINES = 400
_TROUBLE = re.compile(r"error|fatal|panic|not defined|unknown|cannot|denied|in use|\bfailed", re.IGNORECASE)
_CRASHES = 3
"""Ends of a container after which it will not get better by waiting: the kubelet starts it again ever later."""


def run(context: Context) -> None:
    """Raises `HostError` naming what is not well, and why as far as this host can tell."""
    if context.dry_run:
        context.say(PHASE, "Would wait for the kubelet and the control plane")
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
    """Ask until the answer is empty; `look` raises when waiting is in vain."""
    deadline = Deadline(context.clock, seconds, what)
    heartbeat = Heartbeat(context.clock, context.report, what, seconds)
    said = "it was not asked"
    while not deadline.expired:
        context.clock.cancel.check()
        said = ask()
        if not said:
            return
        if look is not None:
            look()
        heartbeat.beat(said)
        context.clock.sleep(_POLL_SECONDS)
    raise HostError(
        f"{what} is not healthy after {seconds:.0f} s: {said}",
        state="what was made so far is there; running the same command again goes on from it",
        advice="'journalctl -u kubelet' tells what the kubelet does, 'crictl ps -a' which containers end",
    )


def wait_components(context: Context) -> None:
    """Side by side: none waits for another, and one that cannot start ends the wait for all."""
    checks = {name: _url(context, name) for name in COMPONENTS}
    seconds = _seconds(context.timeouts.control_plane_component_health_check)
    context.say(CHECK, f"Waiting for healthy control plane components. This can take up to {seconds:.0f} s")
    for name, url in checks.items():
        context.say(CHECK, f"Checking {name} at {url}")
    in_vain = threading.Event()
    with futures.ThreadPoolExecutor(len(checks)) as pool:
        waits = [pool.submit(_wait_component, context, name, url, seconds, in_vain) for name, url in checks.items()]
        done, _ = futures.wait(waits, return_when=futures.FIRST_EXCEPTION)
        in_vain.set()
    for one in (one for one in waits if one in done):
        one.result()


def _wait_component(context: Context, name: str, url: str, seconds: float, in_vain: threading.Event) -> None:
    crashes = Crashes(context, name)

    def look() -> None:
        if in_vain.is_set():
            raise HostError(f"{name} is not waited for any more")
        crashes.check()

    began = context.clock.now()
    trust = _trust(context) if name == "kube-apiserver" else tls.unverified()
    with httpx.Client(verify=trust, timeout=2, trust_env=False) as http:
        _until(context, seconds, name, lambda: _ask(http, url), look)
    context.say(CHECK, f"{name} is healthy after {context.clock.now() - began:.1f} s")


def _trust(context: Context) -> ssl.SSLContext:
    return tls.context(context.tree.read(context.pki("ca.crt")) or b"")


def _ask(http: httpx.Client, url: str) -> str:
    try:
        answer = http.get(url)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return "" if answer.status_code == 200 else f"HTTP {answer.status_code}"


def _url(context: Context, name: str) -> str:
    """Where the manifest that was written has the component listen: its liveness probe."""
    pod = yaml.safe_load(context.tree.read(manifest_path(name)) or b"{}")
    container = pod["spec"]["containers"][0]
    get = container["livenessProbe"]["httpGet"]
    port = next((one["containerPort"] for one in container.get("ports", []) if one["name"] == get["port"]), get["port"])
    host = get.get("host") or "127.0.0.1"
    return f"https://{f'[{host}]' if ':' in host else host}:{port}{get['path']}"


class Crashes:
    """Ends of one component's container since this was made. The kubelet counts attempts on from old logs, so the number of an
    attempt alone says nothing."""

    def __init__(self, context: Context, name: str) -> None:
        self._context, self._name = context, name
        self._first: int | None = None

    def check(self) -> None:
        """Raises `HostError` when the container has ended so often that waiting is in vain, with its last words."""
        context = self._context
        try:
            with Runtime.connect(context.registration.cri_socket) as runtime:
                attempts = runtime.containers(self._name)
                if not attempts or attempts[0].running:
                    return
                end = runtime.container_end(attempts[0].id)
        except CriError as error:
            context.report(Notice(error.what, "warning"))
            return
        if not end.finished_at:
            return
        self._first = attempts[0].attempt if self._first is None else self._first
        ended = attempts[0].attempt - self._first + 1
        if ended >= _CRASHES:
            raise HostError(
                f"{self._name} cannot start: its container ended {ended} times, with exit code {end.exit_code}. "
                f"{last_words(context, end.log_path)}",
                state="what was made so far is there",
                advice=f"correct what it complains of, then run the same command again; its log is {end.log_path}",
            )


def last_words(context: Context, log_path: str) -> str:
    """What a container's log (CRI format: time, stream, tag, text) says of its end: lines that speak of an error, or else the
    last ones. A component that does not understand a flag prints its whole help behind that."""
    content = context.tree.read(log_path) if log_path else None
    lines = (content or b"").decode(errors="replace").splitlines()
    told = [line.split(" ", 3)[-1].strip()[:300] for line in lines[-_MOST_LINES:]]
    bad = [line for line in told if _TROUBLE.search(line)]
    chosen = list(dict.fromkeys(bad[:2] or told[-3:]))
    return f"Its last words: {' | '.join(chosen)}" if chosen else "It said nothing."


def _seconds(given: Duration | None) -> float:
    return given.seconds if given is not None else 240.0
