"""Messages of a running command, as values: the library emits them, the command line renders them.

A `Report` is any callable that takes a `Message`. The library never prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal[
    "preflight",
    "add",
    "start",
    "catch-up",
    "restart",
    "promote",
    "verify",
    "remove",
    "undo",
    "stop",
    "backup",
    "fence",
    "distil",
    "restore",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One step, or one progress reading, of the join or removal of `member`.

    `lag_entries`: raft entries behind the leader's commit index. `lag_seconds`: how long the member has been behind it.
    `received_bytes`: size of its database so far, of the `total_bytes` of the leader's. `bytes_per_second`: its growth;
    about `eta_seconds` are left. `seconds_left`: until the join gives up, while it waits for an etcd to start.
    """

    phase: Phase
    member: str
    text: str
    lag_entries: int | None = None
    lag_seconds: float | None = None
    received_bytes: int | None = None
    total_bytes: int | None = None
    bytes_per_second: int | None = None
    eta_seconds: float | None = None
    seconds_left: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that is not progress: advice, a warning, or a wait for another run."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """A message of a phase of init, join or reset; `phase` is kubeadm's name of it. `more`: the lines that follow."""

    phase: str
    text: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceWritten:
    """A resource that a phase made or changed: a file by its path, an object of the cluster, a member of etcd."""

    kind: Literal["file", "object", "member"]
    name: str


@dataclass(frozen=True, slots=True)
class PhaseDone:
    """The end of a phase, after `seconds`. The `ResourceWritten` messages since the previous `PhaseDone` are its work."""

    phase: str
    seconds: float
    failed: bool = False


Message: TypeAlias = Event | Notice
Report: TypeAlias = Callable[[Message], None]
RunMessage: TypeAlias = Message | PhaseLine | ResourceWritten | PhaseDone
PhaseReport: TypeAlias = Callable[[RunMessage], None]
"""The report of init, join and reset; it is also a `Report`."""


def silent(_message: RunMessage) -> None:
    """Drops every message; the default report of the library."""


@dataclass(slots=True)
class Recorder:
    """A report that keeps every message, for `-o json` and for tests."""

    messages: list[Message] = field(default_factory=list[Message])

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
