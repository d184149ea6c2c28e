"""What happens while a command runs, as values: the library emits them, the command line draws them.

A `Report` is any callable that takes an `Event`. The library never prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["preflight", "add", "start", "catch-up", "restart", "promote", "verify", "remove", "undo", "stop"]


@dataclass(frozen=True, slots=True)
class Event:
    """One step or one reading of progress of the join of `member`.

    `lag_entries` counts raft entries behind the leader's commit index; `lag_seconds` is how long the member has been
    behind it; `received_bytes` is what its database holds so far of the `total_bytes` of the leader's, growing by
    `bytes_per_second`, so that about `eta_seconds` are left.
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


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that is not progress: advice, a warning, a wait for somebody else."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """What a phase of init, join or reset says: `phase` as kubeadm names it. `more`: lines that follow."""

    phase: str
    text: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceWritten:
    """Something that a phase made or changed: a file by its path, an object of the cluster, a member of etcd."""

    kind: Literal["file", "object", "member"]
    name: str


@dataclass(frozen=True, slots=True)
class PhaseDone:
    """A phase has ended after `seconds`; what was `ResourceWritten` since the one before it is its work."""

    phase: str
    seconds: float
    failed: bool = False


Message: TypeAlias = Event | Notice
Report: TypeAlias = Callable[[Message], None]
RunMessage: TypeAlias = Message | PhaseLine | ResourceWritten | PhaseDone
PhaseReport: TypeAlias = Callable[[RunMessage], None]
"""Of init, join and reset; it is a `Report` as well."""


def silent(_message: RunMessage) -> None:
    """A report that drops everything; the default of the library."""


@dataclass(slots=True)
class Recorder:
    """A report that keeps everything, for `-o json` and for tests."""

    messages: list[Message] = field(default_factory=list[Message])

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
