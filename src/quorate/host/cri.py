"""A client of the container runtime over its unix socket (CRI v1): pods, containers, images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from quorate.deadline import Cancel, Deadline, SystemClock
from quorate.errors import HostError, QuorateError
from quorate.foreign.urls import socket_path, socket_url
from quorate.host import cri_pb2 as wire
from quorate.host import facts
from quorate.quiet_grpc import grpc

_RPC_SECONDS, _SLICE_SECONDS = 10.0, 0.1
_PULL_SECONDS = 600.0
_STOP_SECONDS, _KUBELET_SECONDS, _POLL_SECONDS = 60.0, 10.0, 0.1
_EVER = 2**63 - 1
_RUNTIME, _IMAGES = "/runtime.v1.RuntimeService", "/runtime.v1.ImageService"


class CriError(HostError):
    """The container runtime did not answer, or answered with an error."""

    code = "container-runtime"
    next_step = "check the container runtime and --cri-socket"


@dataclass(frozen=True, slots=True)
class Container:
    """One attempt of a container. `attempt` counts from 0. `created_at`: nanoseconds since the epoch."""

    id: str
    name: str
    pod: str
    attempt: int
    running: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """The state of a container, or how it ended. Times: nanoseconds since the epoch, 0 while not reached. `log_path`: the file
    on the host with its output."""

    running: bool
    exit_code: int
    reason: str
    message: str
    started_at: int
    finished_at: int
    log_path: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A pod as the runtime knows it. `ready`: its namespaces exist. `created_at`: nanoseconds since the epoch."""

    id: str
    name: str
    namespace: str
    uid: str
    ready: bool
    created_at: int


class Runtime:
    """A connection to the runtime. Every call raises `CriError` when the runtime does not answer in time, or refuses."""

    def __init__(self, channel: grpc.Channel, socket: str, cancel: Cancel | None = None) -> None:
        self._channel = channel
        self._cancel = cancel
        self.socket = socket

    @classmethod
    @contextmanager
    def connect(cls, socket: str, cancel: Cancel | None = None) -> Iterator[Runtime]:
        """Yields a connection for the block. `socket`: such as unix:///run/containerd/containerd.sock, or a path. `cancel` ends
        the wait for a call: an image may take ten minutes, a pod one."""
        # gRPC decodes the path as the kubelet does.
        with grpc.insecure_channel(
            socket_url(socket_path(socket)), options=[("grpc.default_authority", "localhost")]
        ) as channel:
            yield cls(channel, socket, cancel)

    def _call(self, path: str, request: Any, parse: Callable[[bytes], Any], timeout: float = _RPC_SECONDS) -> Any:
        method = self._channel.unary_unary(
            path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=parse
        )
        call = method.future(request, timeout=timeout)
        try:
            while True:
                try:
                    return call.result(timeout=_SLICE_SECONDS)
                except grpc.FutureTimeoutError:
                    if self._cancel is not None and self._cancel.pending:
                        call.cancel()  # type: ignore[no-untyped-call]
                        self._cancel.check()
        except grpc.RpcError as error:
            raise _translate(error, self.socket, path) from None

    def version(self) -> str:
        """Returns the runtime's name and version, such as containerd 1.6.20."""
        answer = self._call(f"{_RUNTIME}/Version", wire.VersionRequest(), wire.VersionResponse.FromString)
        return f"{answer.runtime_name} {answer.runtime_version}"

    def unready(self) -> list[str]:
        """Returns the conditions that do not hold, each with its message. The network is left out: it is set up later."""
        answer = self._call(f"{_RUNTIME}/Status", wire.StatusRequest(), wire.StatusResponse.FromString)
        return [
            f"{one.type}: {one.message or one.reason}"
            for one in answer.status.conditions
            if not one.status and one.type != "NetworkReady"
        ]

    def sandboxes(self, labels: Mapping[str, str] | None = None) -> list[Sandbox]:
        """Returns the pods that have all of `labels`."""
        request = wire.ListSandboxesRequest(filter=wire.SandboxFilter(label_selector=dict(labels or {})))
        answer = self._call(f"{_RUNTIME}/ListPodSandbox", request, wire.ListSandboxesResponse.FromString)
        return [
            Sandbox(
                one.id,
                one.metadata.name,
                one.metadata.namespace,
                one.metadata.uid,
                one.state == wire.SANDBOX_READY,
                one.created_at,
            )
            for one in answer.items
        ]

    def stop_sandbox(self, sandbox_id: str) -> None:
        """Stops a pod and its containers; a stopped pod is no error."""
        request = wire.SandboxId(pod_sandbox_id=sandbox_id)
        self._call(f"{_RUNTIME}/StopPodSandbox", request, wire.Empty.FromString, timeout=60)

    def remove_sandbox(self, sandbox_id: str) -> None:
        """Removes a pod and its containers."""
        request = wire.SandboxId(pod_sandbox_id=sandbox_id)
        self._call(f"{_RUNTIME}/RemovePodSandbox", request, wire.Empty.FromString, timeout=60)

    def end_sandboxes(self, clock: SystemClock, *, since_ns: int = 0, until_ns: int = _EVER) -> None:
        """Stops and removes the pods created from `since_ns` to `until_ns`, until none is listed.

        A pod that the kubelet was creating when it was stopped may refuse at first, or be listed late. Raises the first
        `CriError` when pods remain after 60 s.
        """
        deadline = Deadline(clock, _STOP_SECONDS, "the pods have stopped")
        while left := [one for one in self.sandboxes() if since_ns <= one.created_at <= until_ns]:
            failures = [error for sandbox in left if (error := self._end_sandbox(sandbox)) is not None]
            if deadline.expired:
                raise failures[0] if failures else CriError(f"the container runtime still lists {len(left)} pods")
            clock.sleep(_POLL_SECONDS)

    def _end_sandbox(self, sandbox: Sandbox) -> CriError | None:
        """Returns the error of a pod that stays. Raising it would keep the other pods from being removed."""
        try:
            self.stop_sandbox(sandbox.id)
            self.remove_sandbox(sandbox.id)
        except CriError as error:
            return error
        return None

    def containers(self, name: str) -> list[Container]:
        """Returns every attempt of the kube-system container of that name, newest first."""
        labels = {"io.kubernetes.container.name": name, "io.kubernetes.pod.namespace": "kube-system"}
        request = wire.ListContainersRequest(filter=wire.ContainerFilter(label_selector=labels))
        answer = self._call(f"{_RUNTIME}/ListContainers", request, wire.ListContainersResponse.FromString)
        found = [
            Container(
                one.id,
                one.metadata.name,
                one.pod_sandbox_id,
                one.metadata.attempt,
                one.state == wire.CONTAINER_RUNNING,
                one.created_at,
            )
            for one in answer.containers
        ]
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    def container_end(self, container_id: str) -> ContainerEnd:
        """Returns the state of a container, or how it ended."""
        request = wire.ContainerStatusRequest(container_id=container_id)
        one = self._call(f"{_RUNTIME}/ContainerStatus", request, wire.ContainerStatusResponse.FromString).status
        running = one.state == wire.CONTAINER_RUNNING
        return ContainerEnd(running, one.exit_code, one.reason, one.message, one.started_at, one.finished_at, one.log_path)

    def stop_container(self, container_id: str, *, grace: int) -> None:
        """Sends SIGTERM, and SIGKILL after `grace` seconds. The kubelet restarts the container of a static pod."""
        request = wire.StopContainerRequest(container_id=container_id, timeout=grace)
        self._call(f"{_RUNTIME}/StopContainer", request, wire.Empty.FromString, timeout=grace + _RPC_SECONDS)

    def see_static_pod_gone(
        self, component: str, clock: SystemClock, *, kubelet_runs: bool, advice: str, refuse: Callable[[], None]
    ) -> None:
        """Waits until the pod of a removed manifest has stopped for good. Raises `DeadlineExceeded` with `advice` after 60 s.

        A kubelet that has not noticed the removal restarts an exited container, on whatever its folders hold by then. Only the
        kubelet stops the sandbox, so a stopped sandbox shows that it has noticed. Where no kubelet runs, or after 10 s, we
        stop the sandbox. Only what is a pod at the first look is waited for and stopped: a pod with another uid is of another
        manifest, which somebody has put there since.

        The same manifest, written again, gives its pod the same uid. `refuse` therefore raises where a manifest is there again.
        It is called after each list and before the stops: a sandbox that was listed before is not of a manifest that comes
        after it.
        """
        labels = {"component": component, "tier": "control-plane", "io.kubernetes.pod.namespace": "kube-system"}
        deadline = Deadline(clock, _STOP_SECONDS, f"the pod of {component} has stopped")
        kubelets = Deadline(clock, _KUBELET_SECONDS if kubelet_runs else 0.0, "the kubelet has stopped it")
        removed = {one.uid for one in self.sandboxes(labels) if one.ready}
        while ready := [one for one in self.sandboxes(labels) if one.ready and one.uid in removed]:
            refuse()
            if kubelets.expired:
                for sandbox in ready:
                    self.stop_sandbox(sandbox.id)
            if deadline.expired:
                raise deadline.error(advice=advice)
            clock.sleep(_POLL_SECONDS)

    def has_image(self, image: str) -> bool:
        """Returns whether the runtime has an image."""
        request = wire.ImageRequest(image=wire.ImageSpec(image=image))
        answer = self._call(f"{_IMAGES}/ImageStatus", request, wire.ImageStatusResponse.FromString)
        return bool(answer.image.id)

    def ensure_image(self, image: str, *, policy: str) -> None:
        """Pulls an image as `policy` (imagePullPolicy) says: Always, IfNotPresent or Never."""
        if policy == "Never" or (policy == "IfNotPresent" and self.has_image(image)):
            return
        request = wire.ImageRequest(image=wire.ImageSpec(image=image))
        self._call(f"{_IMAGES}/PullImage", request, wire.PullImageResponse.FromString, timeout=_PULL_SECONDS)


def _advice(why: str) -> str:
    if "user" in why:
        return "run this as root"
    return "install and start a container runtime, or pass the socket of another one with --cri-socket"


def _translate(error: grpc.RpcError, socket: str, path: str) -> QuorateError:
    # Every error a call raises is a `grpc.Call` as well; the stubs do not say so.
    answer = cast("grpc.Call", error)
    status, details = answer.code(), answer.details() or "no details"
    call = path.rpartition("/")[2]
    if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        late = "not in time" if status is grpc.StatusCode.DEADLINE_EXCEEDED else details
        why = facts.why_silent(Path(socket_path(socket))) or f"{call}: {late}"
        return CriError(f"the container runtime at {socket} does not answer: {why}", advice=_advice(why))
    return CriError(f"the container runtime refused {call}: {details}")
