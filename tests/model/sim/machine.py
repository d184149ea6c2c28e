"""One machine with its etcd process: what it listens at, what it has, and what it believes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Condition: TypeAlias = Literal["absent", "running", "paused", "dead"]
LAG_SECONDS = 0.001
"""From the commit of an entry until another member has applied it, on a healthy network."""

DELAY_SECONDS = 0.0005
"""One way between the tool and a member."""


@dataclass(eq=False)
class Machine:
    """`peer_urls` and `client_addresses` are where the process can be reached, whatever the member list says; `advertised`
    are the client URLs it publishes. Times are world seconds. `applied` and `logged` are as of the last `sync`."""

    name: str
    peer_urls: tuple[str, ...]
    client_addresses: tuple[str, ...]
    advertised: tuple[str, ...]
    condition: Condition = "absent"
    member_id: int = 0
    has_data: bool = False
    applied: int = 0
    logged: int = 0
    lag: float = LAG_SECONDS
    delay: float = DELAY_SECONDS
    cut_from_tool: bool = False
    paused_at: float = 0.0
    resumes_at: float | None = None
    awake_at: float = 0.0
    believes: int = 0
    heard_at: float = 0.0
    ready_at: float | None = None
    serves_at: float | None = None
    loses_publish: bool = False
    fails_to_start: str = ""
    starts: int = 0
    started_at: float = 0.0
    note: str = ""
    received: dict[str, float] = field(default_factory=dict[str, float])
    pages_served: int = 0

    def runs(self, at: float) -> bool:
        """Whether the process is there and not stopped at that time, as far as is known now."""
        if self.condition == "paused":
            return self.resumes_at is not None and self.resumes_at <= at
        return self.condition == "running"

    def forget(self) -> None:
        """As after `rm -rf` of its data directory."""
        self.has_data, self.member_id, self.applied, self.logged = False, 0, 0, 0


def machine(name: str, **changes: object) -> Machine:
    """A machine with one peer URL and one client URL of its own name."""
    fields: dict[str, object] = {
        "peer_urls": (f"http://{name}:2380",),
        "client_addresses": (f"{name}:2379",),
        "advertised": (f"http://{name}:2379",),
        **changes,
    }
    return Machine(name, **fields)  # type: ignore[arg-type]
