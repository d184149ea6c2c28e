"""Actions and decisions of the engine, as values. The engine performs exactly one action, then observes the cluster again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from quorate.core.absence import Absence
from quorate.core.catch_up import Proof
from quorate.report import Phase

StepT = TypeVar("StepT")


@dataclass(frozen=True, slots=True)
class AddLearner:
    """MemberAdd with isLearner: the member receives the data and has no vote."""

    name: str
    peer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddVoter:
    """MemberAdd with a vote from the first moment, as kubeadm did before learners. Only for `EtcdLearnerMode: false`."""

    name: str
    peer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promote:
    """MemberPromote, sent to the leader; `proof` shows that it is safe."""

    member_id: int
    name: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class Remove:
    """MemberRemove. `named`: the operator named this member. `owned`: this run added it. `absence`: the proof that it is dead;
    without one a voter that does not answer counts as alive."""

    member_id: int
    named: bool = False
    owned: bool = False
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class MoveLeader:
    """Asks the leader to transfer leadership to `target_id`; does not change the member list. `leaving`: the leader that is
    removed next, 0 when none is: the others must then decide without it."""

    target_id: int
    leaving: int = 0


MembershipChange: TypeAlias = AddLearner | AddVoter | Promote | Remove


@dataclass(frozen=True, slots=True)
class StartMember:
    """Starts the etcd process of `name` with this `--initial-cluster`, computed from the list just read."""

    name: str
    initial_cluster: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RestartLearner:
    """Restarts, once and gracefully, our own learner that lost its publish (docs/lost-publish.md)."""

    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class ProveAlignment:
    """Writes a key of ours and sees the learner apply it, `catch_up.ROUNDS` times."""

    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class VerifyVoter:
    """Asks the new voter itself for a linearizable read, and a majority for their member lists."""

    name: str
    member_id: int


@dataclass(frozen=True, slots=True)
class StopMember:
    """Ends the etcd process of `name`, whose id was seen to be absent from the list. `member_id`: that id, 0 when there was
    none."""

    name: str
    member_id: int = 0


@dataclass(frozen=True, slots=True)
class WipeData:
    """Deletes the data of `name`, whose id was seen to be absent from the list; `member_id` as in `StopMember`."""

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
    """Nothing can be done until the cluster changes. `phase` and `member` say what takes the time."""

    phase: Phase
    member: str
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """The goal was observed to be reached."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The goal cannot be reached safely from the present state. `why`: the reason. `advice`: what an operator can do. `kind`:
    the reason for programs."""

    why: str
    advice: str = ""
    kind: str = ""


DecisionOf: TypeAlias = Do[StepT] | Wait | Done | Refuse
"""A decision. `StepT` is the type of its step: an action, or in larger runs a whole join or removal."""

Decision: TypeAlias = DecisionOf[Action]
