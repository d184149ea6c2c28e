"""A member as a static pod: we write and remove its manifest, the kubelet starts and stops it, the CRI reports its state
(decision 16)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.etcd.membership.runtime import Process
from quorate.files import remove_file_if
from quorate.foreign.places import Stamp, stamp_at
from quorate.host.crash_counter import CrashCounter
from quorate.host.cri import Container, CriError, Runtime
from quorate.host.kubelet import Kubelet
from quorate.host.member_data import has_leftovers, of_member, refuse_another, refuse_taken, take_data
from quorate.member.on_this_host import OnThisHost

_CONTAINER = "etcd"
_CRASHES = 2
"""Exits after which we stop waiting: the kubelet's restart back-off is then ten seconds, and only grows."""

_IMAGE_SECONDS = 10.0
_GRACE_SECONDS = 5


@dataclass(slots=True)
class StaticPod(OnThisHost):
    """The static pod. `write` writes the manifest for these rows of --initial-cluster; `image` is its image; `log_lines` reads
    the last lines of a container's log."""

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
    _seen: Stamp | None = None
    """The manifest as this run wrote it, or found it at its first look. Only this one is removed: a run that was suspended once
    removed that of the member that had joined here since."""
    _has_looked: bool = False
    _crashes: CrashCounter = field(default_factory=lambda: CrashCounter(_CRASHES))

    def process(self) -> Process:
        if not self._is_there():
            return Process("absent")
        if self._since is None:
            self._since = self.clock.now()
        try:
            return self._ask()
        except CriError:
            # The state is unknown without the container runtime; the cluster shows whether the member runs.
            return Process("running")

    def _ask(self) -> Process:
        with Runtime.connect(self.socket, self.clock.cancel) as runtime:
            attempts = self._ours(runtime)
            if not attempts:
                return self._not_created(runtime)
            end = self._crashes.last_end(runtime, attempts[0])
            if end is None:
                return Process("running")
        return Process("failing", f"its container ended with exit code {end.exit_code}. {self.log_lines(end.log_path)}")

    def _ours(self, runtime: Runtime) -> list[Container]:
        """Returns the containers of this manifest: those of an earlier pod do not count."""
        begun = self.manifest.stat().st_mtime_ns if self.manifest.exists() else 0
        return [one for one in runtime.containers(_CONTAINER) if one.created_at >= begun]

    def _not_created(self, runtime: Runtime) -> Process:
        """Returns the state when there is no container yet. A missing image is the most common reason for that; after it, a
        kubelet that does not start: of a configuration in the cluster, for one, that it cannot read."""
        assert self._since is not None
        if self.clock.now() - self._since <= _IMAGE_SECONDS:
            return Process("running")
        if not runtime.has_image(self.image):
            return Process("exited", f"its image {self.image} is not on this node, and could not be pulled")
        problem = self.kubelet.problem()
        return Process("running", f"the kubelet starts no pods ({problem}): see 'journalctl -u kubelet'" if problem else "")

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if not self._is_there():
            refuse_taken(self.data_dir)
            self.write(initial_cluster)
            self._seen, self._has_looked = stamp_at(self.manifest), True
            self._since = self.clock.now()
            self._crashes.begin_at(None)

    def restart(self) -> None:
        """Stops the container; the kubelet starts it again, at once the first time. Raises `HostError`, with nothing stopped,
        where the manifest is of another program by now: so is its container."""
        with Runtime.connect(self.socket, self.clock.cancel) as runtime:
            running = [one for one in self._ours(runtime) if one.running]
            # After the list: what was listed before is not of a manifest that comes after it.
            if self._is_there() and stamp_at(self.manifest) != self._seen:
                raise self._of_another()
            for container in running:
                runtime.stop_container(container.id, grace=_GRACE_SECONDS)
                self._crashes.begin_at(container.attempt + 1)

    def _is_there(self) -> bool:
        """Returns whether the manifest exists, and keeps which one it is at the first look: one that comes later is of another
        program, also when it holds the same."""
        seen = stamp_at(self.manifest)
        if not self._has_looked:
            self._seen, self._has_looked = seen, True
        return seen is not None

    def _remove_manifest(self) -> None:
        if not self._is_there():
            return
        if self._seen is None:
            raise self._of_another()
        remove_file_if(self.manifest, self._seen)

    def _of_another(self) -> HostError:
        return HostError(
            f"{self.manifest} was written by another program since this run looked: it was left as it is, and so is its pod",
            advice="look at the etcd that runs here, then run the same command again",
        )

    def _refuse_another(self) -> None:
        if stamp_at(self.manifest) is not None:
            raise self._of_another()

    def stop(self) -> None:
        """Removes the manifest and waits until the pod is gone. Raises `HostError` for one that another program wrote."""
        self._remove_manifest()
        with Runtime.connect(self.socket, self.clock.cancel) as runtime:
            runtime.see_static_pod_gone(
                _CONTAINER,
                self.clock,
                kubelet_runs=self.kubelet.may_run(),
                advice="'crictl pods' shows the pod; stop the kubelet, then the pod",
                refuse=self._refuse_another,
            )

    def has_leftovers(self) -> bool:
        return self.manifest.exists() or has_leftovers(self.data_dir)

    def wipe(self, owner: int | None) -> None:
        """Deletes the manifest and the member's data, and nothing beside either. Raises `HostError`."""
        refuse_another(self.data_dir, of_member(owner))
        self._remove_manifest()
        take_data(self.data_dir, of_member(owner))
