"""The program that makes a missing standby, as one instance of the autopilot runs it: one at a time in the whole cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from quorate.core.autopilot.case import AddStandby, Provider
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import Refused
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.coordination.autopilot_store import AutopilotStore

_ENDS_SECONDS = 15.0
"""For a program that is ended because it took too long."""


class StandbyMaker(Protocol):
    """What makes a new standby when one is missing."""

    @property
    def seconds(self) -> float:
        """For how long it may be at work."""
        ...

    @property
    def why(self) -> str:
        """Why the last run is taken for failed."""
        ...

    def state(self, *, is_missing: bool) -> Provider:
        """Returns whether it may be started now. `is_missing`: whether a standby is, at this look."""
        ...

    def start(self, words: Mapping[str, str]) -> None:
        """Starts it. Raises `HostError`."""
        ...


@dataclass(slots=True)
class Providing:
    """The maker of this instance, None where it has none. `held`: the lease of the one place for a program at work, 0 where
    this instance has not taken it."""

    maker: StandbyMaker | None = None
    held: int = 0

    @property
    def why(self) -> str:
        """Why the last run is taken for failed."""
        return self.maker.why if self.maker is not None else ""

    def state(self, orders: Orders, store: AutopilotStore, *, is_missing: bool) -> Provider:
        """Returns whether a standby may be made now. That of an instance that was killed may still be at work."""
        if self.maker is None:
            return "none"
        state = self.maker.state(is_missing=is_missing)
        if self.held and state != "at work":
            self.leave(store)
            if state == "failed":
                store.note("failed", rule="provide", error=self.maker.why)
            elif not is_missing:
                store.note("done", rule="provide")
        elif state == "ready" and orders.is_providing:
            return "at work"
        return state

    def make(self, found: AddStandby, view: ClusterView, store: AutopilotStore) -> None:
        """Starts the program. Raises `Refused` where that of another instance is at work, and `HostError`."""
        assert self.maker is not None, "a standby is made only where a program for it was given"
        self.held = store.begin_providing(self.maker.seconds + _ENDS_SECONDS)
        if not self.held:
            raise Refused(
                "the program of another instance is at work", state="nothing was changed", advice="quorate autopilot history"
            )
        urls = [url for voter in view.voters for url in voter.client_urls[:1]]
        store.note("provide", rule=found.rule, why=found.why)
        self.maker.start(
            {"QUORATE_ENDPOINTS": ",".join(urls), "QUORATE_CLUSTER_ID": format_id(view.cluster_id), "QUORATE_WHY": found.why}
        )

    def leave(self, store: AutopilotStore) -> None:
        """Frees the place, if it is held."""
        held, self.held = self.held, 0
        if held:
            store.end_providing(held)
