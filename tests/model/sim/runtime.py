"""The joiner's machine as the engine's runtime sees it: its process and data are the simulated member's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.sim.engine import Process
from model.sim.etcd import SimCluster
from model.sim.machine import Machine
from model.sim.world import ToolKilled, World

RETRANSMIT_SECONDS = 2.1
"""When the kernel has sent a packet of a cut link for the second time."""


@dataclass
class SimRuntime:
    """Starts, stops and wipes `one`, a machine that may become a member of `cluster`."""

    world: World
    cluster: SimCluster
    one: Machine
    can_restart: bool = True
    can_wipe: bool = True
    left_here: bool = False
    """Whether the tool has written there, beside what etcd wrote."""

    def _mine(self) -> Machine:
        if self.world.killed:
            raise ToolKilled
        return self.one

    def process(self) -> Process:
        one = self._mine()
        match one.condition:
            case "absent":
                return Process("absent")
            case "dead":
                return Process("exited" if one.starts else "absent", one.note)
            case _:
                return Process("running")

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        """As etcd does, it ends when the peer URLs of an existing cluster are not those it was told."""
        one = self._mine()
        self.world.say(f"start {self.one.name}")
        self.left_here = True
        self.world.witness.stopped.discard(self.one.name)
        if not one.has_data:
            one.fails_to_start = one.fails_to_start or self._misfit(initial_cluster)
        self.cluster.start(one)

    def _misfit(self, initial_cluster: Sequence[tuple[str, str]]) -> str:
        """What etcd says of an initial cluster that does not fit its flags or the members there are."""
        listed = {url for row in self.cluster.state.rows.values() for url in row.peer_urls}
        if self.one.name not in [name for name, _ in initial_cluster]:
            return f"couldn't find local name {self.one.name!r} in the initial cluster configuration"
        return "" if {url for _, url in initial_cluster} == listed else "member count is unequal"

    def restart(self) -> None:
        one = self._mine()
        self.world.witness.ended(self.cluster, one, "restarted")
        self.world.say(f"restart {self.one.name}")
        self.cluster.kill(one)
        self.cluster.start(one)

    def stop(self) -> None:
        one = self._mine()
        if one.condition in ("running", "paused"):
            self.world.witness.ended(self.cluster, one, "stopped")
            self.world.say(f"stop {self.one.name}")
            self.cluster.kill(one)

    def has_data(self) -> bool:
        return self._mine().has_data

    def data_member(self) -> int:
        """Whose data it is, as its log says."""
        one = self._mine()
        return one.member_id if one.has_data else 0

    def has_leftovers(self) -> bool:
        return self._mine().has_data or self.left_here

    def received_bytes(self) -> int | None:
        """A database that is begun anew with each start until one of them lasts."""
        one = self._mine()
        return 20_480 if one.applied else 4_096 * (1 + one.starts % 2) if one.has_data else 0

    def links(self, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        """What the kernel of the joiner's machine shows: a dead peer at once, a silent one when packets were sent again and
        again, a process that stands still not at all."""
        one = self._mine()
        return {member_id: self._kernel_link(one, self.cluster.machine_of(member_id)) for member_id in peers}

    def _kernel_link(self, one: Machine, other: Machine | None) -> bool:
        if other is None or any(end.condition not in ("running", "paused") for end in (one, other)):
            return False
        cut_at = [at for pair, at in self.cluster.cuts.items() if set(pair) == {one.name, other.name}]
        if not cut_at:
            return True
        never_linked = min(cut_at) <= max(one.started_at, other.started_at)
        return not never_linked and self.world.clock.local - min(cut_at) < RETRANSMIT_SECONDS

    def wipe(self, owner: int | None) -> None:
        one = self._mine()
        assert owner is not None, "an engine's run always knows whose data it deletes"
        self.world.witness.wiped(self.cluster, one)
        self.world.say(f"wipe {self.one.name}")
        self.cluster.kill(one)
        one.forget()
        one.condition, one.starts, self.left_here = "absent", 0, False
