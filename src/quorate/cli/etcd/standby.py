"""`quorate etcd add NAME --standby`: a learner that is kept, for the autopilot to promote in the place of a lost voter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from quorate.cli.common.option_groups import packed, refuse_seat_of_a_voter
from quorate.errors import Refused, UsageProblem
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from pathlib import Path

    from quorate.etcd.cluster import Cluster
    from quorate.etcd.membership.join_state import JoinResult


@dataclass(frozen=True, slots=True)
class Standby:
    """Whether the new member is to stay a learner, and whether it may keep the only learner seat of the cluster."""

    wanted: bool = False
    occupies: bool = False

    def applied(self, cluster: Cluster) -> Cluster:
        """Returns the cluster with the policy for it. Raises `Refused` where the seat would be kept without consent: how many
        learners its members allow cannot be asked, and it is one unless they were started otherwise."""
        if not self.wanted:
            return cluster
        if not self.occupies:
            raise Refused(
                "a standby keeps a learner seat, of which there is one unless all members run with a higher --max-learners: "
                "every later join would wait for it",
                state="nothing was changed",
                advice="give the seat to the standby with --occupy-the-seat",
            )
        return replace(cluster, policy=replace(cluster.policy, ends_as="standby"))

    def marked(self, cluster: Cluster, result: JoinResult) -> None:
        """Marks the learner: without that it is one of which nobody knows whose it is."""
        if self.wanted:
            from quorate.etcd.autopilot.standbys import mark

            mark(cluster.access, cluster.endpoints, cluster.clock, cluster.look(), result.member_id)

    def of_local(self, name: str) -> tuple[str, ...]:
        """Returns the command that adds such a member to a local cluster, but for its --dir."""
        chosen = [*(["--standby"] if self.wanted else []), *(["--occupy-the-seat"] if self.occupies else [])]
        return ("quorate", "local", "join", name, *chosen)

    def refuse_local(self, name: str, folder: Path) -> None:
        if self.wanted:
            what = "--dir names a local cluster, to which 'quorate local join' adds standbys"
            raise UsageProblem(what, state="nothing was changed", advice=to_paste(*self.of_local(name), "--dir", str(folder)))
        self.refuse_what_is_ignored()

    def refuse_what_is_ignored(self) -> None:
        """Raises `UsageProblem` for a consent to what was not asked for."""
        if self.occupies and not self.wanted:
            refuse_seat_of_a_voter()


standby_options = packed(
    Standby,
    "standby",
    (
        click.option("--standby", "wanted", is_flag=True, help="Keep the member as a learner that is aligned, without a vote."),
        click.option("--occupy-the-seat", "occupies", is_flag=True, help="With --standby: let it keep the only learner seat."),
    ),
)
"""Adds the options, and passes them to the command as `standby`."""
