"""What the engine may do next, as values. Exactly one is done, then the cluster is observed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from quorate.core.absence import Absence
from quorate.core.catch_up import Proof
from quorate.report import Phase

StepT = TypeVar("StepT")


@dataclass(frozen=True, slots=True)
class AddLearner:
    """MemberAdd with isLearner: the member gets the data and has no vote."""

    name: str
    peer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddVoter:
    """MemberAdd as kubeadm did before learners: a vote from the first moment. Only for `EtcdLearnerMode: false`."""

    name: str
    peer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promote:
    """MemberPromote, sent to the leader; `proof` is why it is safe."""

    member_id: int
    name: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class Remove:
    """MemberRemove. `named` is True when the operator named this member, `owned` when this run added it. `absence`: the proof
    that it is dead; without one a voter that does not answer counts as alive."""

    member_id: int
    named: bool = False
    owned: bool = False
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class MoveLeader:
    """Ask the leader to hand over to `target_id`; changes no membership."""

    target_id: int


MembershipChange: TypeAlias = AddLearner | AddVoter | Promote | Remove


@dataclass(frozen=True, slots=True)
class StartMember:
    """Start the etcd process of `name` with this `--initial-cluster`, computed from the list just read."""

    name: str
    initial_cluster: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RestartLearner:
    """One graceful restart of our own learner that lost its publish (docs/lost-publish.md)."""

    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class ProveAlignment:
    """Write something of our own and see the learner apply it, `readiness.ROUNDS` times."""

    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class VerifyVoter:
    """Ask the new voter itself for a linearizable read and a majority for their member lists."""

    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class StopMember:
    """End the etcd process of `name`, which was seen to be no member. `member_id`: the id that is gone, 0 when
    there was none."""

    name: str
    member_id: int = 0


@dataclass(frozen=True, slots=True)
class WipeData:
    """Delete the data of `name`, which was seen to be no member; `member_id` as above."""

    name: str
    member_id: int = 0


Action: TypeAlias = (
    MembershipChange | MoveLeader | StartMember | RestartLearner | ProveAlignment | VerifyVoter | StopMember | WipeData
)


@dataclass(frozen=True, slots=True)
class Do(Generic[StepT]):
    action: StepT


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something changes. `phase` and `member` say where the time goes."""

    phase: Phase
    member: str
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """The goal is reached and was seen to be reached."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The goal cannot be reached safely from here. `why` names the reason, `advice` what an operator can do, `kind` the reason
    for programs."""

    why: str
    advice: str = ""
    kind: str = ""


DecisionOf: TypeAlias = Do[StepT] | Wait | Done | Refuse
"""What can be decided. `StepT` is what is done: an action, or in larger runs a whole join or removal."""

Decision: TypeAlias = DecisionOf[Action]
