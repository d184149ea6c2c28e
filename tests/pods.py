"""A container runtime over its unix socket, as far as a reset and an undo ask it: pods that are listed, stopped and removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate.host import cri_pb2 as wire
from quorate.quiet_grpc import grpc


@dataclass
class Pods:
    """The pods and the containers of the runtime. `stopped`, `removed`: what was asked for. `on_list`: called before each list
    of pods; `on_stop`: called with the id when one is stopped."""

    sandboxes: dict[str, wire.Sandbox] = field(default_factory=dict[str, wire.Sandbox])
    containers: dict[str, wire.Container] = field(default_factory=dict[str, wire.Container])
    stopped: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    on_list: Callable[[], None] = lambda: None
    on_stop: Callable[[str], None] = lambda _id: None

    def begin(self, name: str, uid: str, component: str = "etcd") -> None:
        """Starts a pod with one container, which has the name of the pod's component."""
        created = time.time_ns()
        sandbox = wire.Sandbox(id=name, state=wire.SANDBOX_READY, created_at=created)
        sandbox.metadata.uid = uid
        container = wire.Container(
            id=f"{name}-{component}", pod_sandbox_id=name, state=wire.CONTAINER_RUNNING, created_at=created
        )
        container.metadata.name = component
        self.sandboxes[name], self.containers[container.id] = sandbox, container

    def list_pods(self, _request: bytes, _context: object) -> bytes:
        self.on_list()
        return wire.ListSandboxesResponse(items=list(self.sandboxes.values())).SerializeToString()

    def list_containers(self, _request: bytes, _context: object) -> bytes:
        return wire.ListContainersResponse(containers=list(self.containers.values())).SerializeToString()

    def stop_pod(self, request: bytes, _context: object) -> bytes:
        pod = wire.SandboxId.FromString(request).pod_sandbox_id
        self.stopped.append(pod)
        if pod in self.sandboxes:
            self.sandboxes[pod].state = wire.SANDBOX_NOTREADY
        self.on_stop(pod)
        return b""

    def remove_pod(self, request: bytes, _context: object) -> bytes:
        pod = wire.SandboxId.FromString(request).pod_sandbox_id
        self.removed.append(pod)
        self.sandboxes.pop(pod, None)
        return b""

    def stop_container(self, request: bytes, _context: object) -> bytes:
        self.stopped.append(wire.StopContainerRequest.FromString(request).container_id)
        return b""


@contextmanager
def serving(socket: Path, pods: Pods) -> Iterator[Pods]:
    """Serves the pods at a socket for the block."""
    calls: dict[str, Callable[[bytes, object], bytes]] = {
        "ListPodSandbox": pods.list_pods,
        "ListContainers": pods.list_containers,
        "StopPodSandbox": pods.stop_pod,
        "RemovePodSandbox": pods.remove_pod,
        "StopContainer": pods.stop_container,
    }

    class Service(grpc.GenericRpcHandler):  # type: ignore[type-arg]
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(calls[details.method.rpartition("/")[2]])

    socket.parent.mkdir(parents=True, exist_ok=True)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Service(),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield pods
    finally:
        server.stop(0).wait()
