"""A member as a static pod: its manifest is written and taken away, the kubelet starts and ends it, the CRI tells how it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quorate.deadline import SystemClock
from quorate.etcd.membership.runtime import Process
from quorate.files import empty_folder, remove_file
from quorate.host import etcd_data, tcp_links
from quorate.host.cri import Container, CriError, Runtime
from quorate.host.etcd_identity import member_of
from quorate.host.kubelet import Kubelet

_CONTAINER = "etcd"
_CRASHES = 2
"""Ends after which the kubelet waits ten seconds and more before it starts the container again: it will not get better."""

_IMAGE_SECONDS = 10.0
_GRACE_SECONDS = 5


@dataclass(slots=True)
class StaticPod:
    """`write` writes the manifest for these rows of --initial-cluster; `image` is what it runs; `log_lines` reads the last
    lines of a container's log. The data directory was empty when the join began: `wipe` empties it again."""

    manifest: Path
    data_dir: Path
    socket: str
    image: str
    write: Callable[[Sequence[tuple[str, str]]], None]
    log_lines: Callable[[str], str]
    clock: SystemClock
    kubelet: Kubelet = field(default_factory=Kubelet)
    peer_url: str = ""
    can_restart: bool = True
    can_wipe: bool = True
    _since: float | None = None
    _first: int | None = None

    def process(self, name: str) -> Process:  # noqa: ARG002
        if not self.manifest.exists():
            return Process("absent")
        if self._since is None:
            self._since = self.clock.now()
        try:
            return self._ask()
        except CriError:
            # Whether it runs is not known; the cluster will tell.
            return Process("running")

    def _ask(self) -> Process:
        with Runtime.connect(self.socket, self.clock.cancel) as runtime:
            attempts = self._ours(runtime)
            if not attempts:
                return self._not_created(runtime)
            newest = attempts[0]
            # Only ends that this run sees count: the cause of earlier ones may have been mended since.
            self._first = newest.attempt if self._first is None else self._first
            end = runtime.container_end(newest.id)
            if newest.running or not end.finished_at or newest.attempt - self._first + 1 < _CRASHES:
                return Process("running")
        return Process("failing", f"its container ended with exit code {end.exit_code}. {self.log_lines(end.log_path)}")

    def _ours(self, runtime: Runtime) -> list[Container]:
        """Containers of this manifest: those of a pod that was there before it do not count."""
        begun = self.manifest.stat().st_mtime_ns if self.manifest.exists() else 0
        return [one for one in runtime.containers(_CONTAINER) if one.created_at >= begun]

    def _not_created(self, runtime: Runtime) -> Process:
        """Not yet, or never: an image that is not there is what most often keeps a container from being made."""
        assert self._since is not None
        if self.clock.now() - self._since > _IMAGE_SECONDS and not runtime.has_image(self.image):
            return Process("exited", f"its image {self.image} is not on this node, and could not be fetched")
        return Process("running")

    def start(self, name: str, initial_cluster: Sequence[tuple[str, str]]) -> None:  # noqa: ARG002
        if not self.manifest.exists():
            self.write(initial_cluster)
            self._since, self._first = self.clock.now(), None

    def restart(self, name: str) -> None:  # noqa: ARG002
        """The kubelet starts it again at once, the first time."""
        with Runtime.connect(self.socket, self.clock.cancel) as runtime:
            for container in runtime.containers(_CONTAINER):
                if container.running:
                    runtime.stop_container(container.id, grace=_GRACE_SECONDS)
                    self._first = container.attempt + 1

    def stop(self, name: str) -> None:  # noqa: ARG002
        """Take the manifest away and see the pod gone."""
        remove_file(self.manifest)
        with Runtime.connect(self.socket, self.clock.cancel) as runtime:
            runtime.see_static_pod_gone(
                _CONTAINER,
                self.clock,
                kubelet_runs=self.kubelet.may_run(),
                advice="'crictl pods' shows it; stop the kubelet, then the pod",
            )

    def has_data(self, name: str) -> bool:  # noqa: ARG002
        return etcd_data.has_log(self.data_dir)

    def data_member(self, name: str) -> int:  # noqa: ARG002
        return member_of(self.data_dir)

    def has_leftovers(self, name: str) -> bool:  # noqa: ARG002
        return self.manifest.exists() or (self.data_dir.is_dir() and any(self.data_dir.iterdir()))

    def received_bytes(self, name: str) -> int | None:  # noqa: ARG002
        return etcd_data.received_bytes(self.data_dir)

    def links(self, name: str, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:  # noqa: ARG002
        """The pod uses the host's network."""
        table = tcp_links.connections() if self.peer_url else None
        return tcp_links.linked_peers(table, [self.peer_url], peers) if table is not None else None

    def wipe(self, name: str) -> None:  # noqa: ARG002
        """Empties the data directory, as it was when the join began. Raises `HostError`."""
        remove_file(self.manifest)
        empty_folder(self.data_dir)
