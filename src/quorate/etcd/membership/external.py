"""A member whose process another party runs: a unit file, another machine, a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from quorate.core.new_member import is_carried
from quorate.errors import Refused
from quorate.etcd.membership.runtime import Process
from quorate.foreign.text import assignment, visible

Start = Callable[[str, Sequence[tuple[str, str]]], str | None]
"""Passes on the name and the initial cluster, and starts the process or lets another party do so. Returns what to look at when
nothing listens soon after; None when another party starts it at a time of its own."""


@dataclass(slots=True)
class ExternalProcess:
    """Starts the process through a hook, once. It cannot stop or wipe the process; it can restart it if there is a hook for
    that.

    `name`: the member's name. `started` is True from the beginning when the member list shows that the process has run before.
    """

    name: str
    start_hook: Start
    started: bool = False
    restart_hook: Start | None = None
    can_wipe: bool = False

    can_restart: bool = field(init=False)
    _hint: str = ""

    def __post_init__(self) -> None:
        self.can_restart = self.restart_hook is not None

    def process(self) -> Process:
        return Process("running" if self.started else "absent", self._hint)

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if not self.started:
            self._hint = self.start_hook(self.name, initial_cluster) or ""
            self.started = True

    def restart(self) -> None:
        if self.restart_hook is None:
            raise AssertionError(f"the process of {self.name} is not ours to restart")
        self.restart_hook(self.name, ())

    def stop(self) -> None:
        self.started = False

    def has_data(self) -> bool:
        return self.started

    def data_member(self) -> int:
        return 0

    def has_leftovers(self) -> bool:
        return False

    def received_bytes(self) -> int | None:
        return None

    def links(self, peers: Mapping[int, Sequence[str]]) -> None:  # noqa: ARG002
        """Returns None: this host's kernel does not see the links."""
        return

    def wipe(self, owner: int | None) -> None:  # noqa: ARG002
        raise AssertionError(f"the data of {self.name} is not ours to delete")


def variables(name: str, peer_url: str, initial_cluster: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Returns the variables that the new process needs, as `etcdctl member add` prints them. Raises `Refused` when a member has
    a name or a URL that --initial-cluster cannot carry. Anyone who may update a member can set these, and a line break in one
    once became a variable of root's process."""
    for row, url in initial_cluster:
        if not is_carried(row, url):
            raise Refused(
                f"the member {visible(row, most=80)!r} at {visible(url, most=80)!r} cannot be named in --initial-cluster",
                state="the new member was not started",
                advice="rename that member or remove it: 'quorate etcd status' shows its id",
            )
    return {
        "ETCD_NAME": name,
        "ETCD_INITIAL_CLUSTER": ",".join(f"{row}={url}" for row, url in initial_cluster),
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer_url,
        "ETCD_INITIAL_CLUSTER_STATE": "existing",
    }


def environment_file(values: Mapping[str, str]) -> str:
    """Returns one assignment a line, in a form that sh and systemd's EnvironmentFile both read back."""
    return "".join(f"{assignment(name, value)}\n" for name, value in values.items())
