"""The rounds of the autopilot: look, decide, do at most one thing, and look again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from quorate.core.autopilot.case import Act, AddStandby, Memory, Next, Page, Provider, Wait
from quorate.core.autopilot.policy import Policy
from quorate.core.decide_autopilot import decide_autopilot, learners_to_prove
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import QuorateError
from quorate.etcd.autopilot.act import carry_out
from quorate.etcd.autopilot.observer import Observer, at_work
from quorate.etcd.client.credentials import Credentials
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.coordination.autopilot_store import ActingKey, AutopilotStore
from quorate.etcd.coordination.pending_joins import PendingJoins
from quorate.loggers import logger
from quorate.report import Notice

_LOGGER = logger(__name__)
ROUND_SECONDS = 1.0
_SAY_SECONDS = 15.0
"""At least so often the acting instance writes what it decided: `status` tells an old word by its age."""
_LEAST_VOTERS = 3


class StandbyMaker(Protocol):
    """What makes a new standby when one is missing."""

    def state(self) -> Provider:
        """Returns whether it may be started now."""
        ...

    def start(self, words: Mapping[str, str]) -> None:
        """Starts it. Raises `HostError`."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """One round. `view`: None when no member answered. `policy`, `memory`: what was decided on; `orders`: the records;
    `acts`: whether this instance may act; `failed`: why the action did not succeed; `seconds`: how long it took."""

    next: Next
    view: ClusterView | None = None
    policy: Policy = field(default_factory=Policy)
    memory: Memory = field(default_factory=Memory)
    orders: Orders = field(default_factory=Orders)
    acts: bool = False
    failed: str = ""
    seconds: float = 0.0

    def as_dict(self, wall: float) -> dict[str, object]:
        """Returns the round as JSON fields."""
        return {**self.said(wall), "acting": self.acts, "cluster": self.view.as_dict() if self.view is not None else None}

    def said(self, wall: float) -> dict[str, object]:
        """Returns what was decided, as fields for the record of the instance and for `-o json`."""
        silent = {format_id(member): round(at, 1) for member, at in self.silent_seconds().items()}
        return {
            **next_fields(self.next),
            "at": wall,
            "silentSeconds": silent,
            **({"failed": self.failed} if self.failed else {}),
        }

    def silent_seconds(self) -> Mapping[int, float]:
        """Returns for how long each silent voter has given no sign of life."""
        now = self.view.taken_at if self.view is not None else 0.0
        return {member: now - since for member, since in self.memory.silent_since.items()}


def next_fields(found: Next) -> dict[str, object]:
    """Returns a decision as JSON fields."""
    kind = {Wait: "wait", Page: "page", Act: "act", AddStandby: "act"}[type(found)]
    return {"decision": kind, "rule": found.rule, "why": found.why}


def default_policy(view: ClusterView) -> Policy:
    """Returns the policy of a cluster for which none was set: as many voters as there are, or one more where that number is
    even, and at least three."""
    count = max(len(view.voters), _LEAST_VOTERS)
    return Policy(voters=min(count if count % 2 else count + 1, 7))


@dataclass(slots=True)
class Autopilot:
    """One instance. `acting` takes the key of the instance that acts; without it nothing is changed, as in a dry run.
    `policy`: decided on instead of the one in etcd, for a trial of it. `maker`: makes standbys that are missing."""

    cluster: Cluster
    acting: bool = True
    policy: Policy | None = None
    maker: StandbyMaker | None = None
    observer: Observer = field(init=False)
    credentials: Credentials = field(init=False)
    _key: ActingKey | None = None
    _said: tuple[type, str] | None = None
    _said_at: float = 0.0
    _seen: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.observer = Observer(self.cluster)
        self.credentials = Credentials(self.cluster.access)

    def rounds(self, show: Callable[[Round], None]) -> None:
        """Goes on until it is cancelled, one round a second."""
        try:
            while True:
                began = self.cluster.clock.now()
                show(self.round())
                self.cluster.clock.cancel.check()
                self.cluster.clock.sleep(max(0.0, ROUND_SECONDS - (self.cluster.clock.now() - began)))
                self.cluster.clock.cancel.check()
        finally:
            self.leave()

    def leave(self) -> None:
        """Lets another instance act."""
        if self._key is not None:
            self._key.leave()

    def round(self) -> Round:
        """Takes one look, decides, and carries out what was decided if this instance acts."""
        if said := self.credentials.refresh():
            self.cluster.report(Notice(said))
        try:
            decided = self._decided()
        except EtcdError as error:
            if error.disposition == "final":
                raise
            decided = Round(Page("unreachable", f"no member can be asked: {error.what}"))
        self._tell(decided)
        found, view, key = decided.next, decided.view, self._key
        if not decided.acts or view is None or key is None or not isinstance(found, Act | AddStandby):
            return decided
        began = self.cluster.clock.now()
        failed = self._failure_of(found, view, key)
        said = f"{found.why}, and it could not be done: {failed}" if failed else f"done: {found.why}"
        self.cluster.report(Notice(said, "warning") if failed else Notice(said))
        return replace(decided, failed=failed, seconds=self.cluster.clock.now() - began)

    def _failure_of(self, found: Act | AddStandby, view: ClusterView, key: ActingKey) -> str:
        """Carries it out; returns why that did not succeed."""
        try:
            if isinstance(found, Act):
                carry_out(self.cluster, key, found, view)
            elif self.maker is not None:
                self._make_standby(self.maker, found, view, key)
        except QuorateError as error:
            self.cluster.clock.cancel.check()
            return error.what
        return ""

    def _make_standby(self, maker: StandbyMaker, found: AddStandby, view: ClusterView, key: ActingKey) -> None:
        urls = [url for voter in view.voters for url in voter.client_urls[:1]]
        key.store.note("provide", rule=found.rule, why=found.why)
        maker.start(
            {"QUORATE_ENDPOINTS": ",".join(urls), "QUORATE_CLUSTER_ID": format_id(view.cluster_id), "QUORATE_WHY": found.why}
        )

    def _decided(self) -> Round:
        view = self.observer.look(self._seen)
        if not view.linearizable:
            found = decide_autopilot(view, self._seen, Memory(silent_since=self.observer.sight.silent_since), self._now())
            return Round(found, view, self._seen)
        key = self._key_of(view)
        orders = key.store.read()
        if orders.troubles:
            return Round(Page("bad-record", "; ".join(orders.troubles)), view, self._seen, orders=orders)
        self._seen = policy = self.policy or orders.policy or default_policy(view)
        memory = self._memory(view, orders)
        found, memory = self._with_proofs(view, policy, memory)
        decided = Round(found, view, policy, memory, orders)
        return replace(decided, acts=True) if self.acting and self._is_acting(key, decided) else decided

    def _key_of(self, view: ClusterView) -> ActingKey:
        if self._key is None:
            cluster = self.cluster
            self._key = ActingKey(AutopilotStore(cluster.access, cluster.endpoints, cluster.clock, view.cluster_id))
        return self._key

    def _memory(self, view: ClusterView, orders: Orders) -> Memory:
        cluster = self.cluster
        pending = PendingJoins(cluster.access, cluster.endpoints, cluster.clock, cluster.timeout)
        joins = pending.find(view)
        busy = at_work(view, joins, pending.lock())
        provider = self.maker.state() if self.maker is not None else "none"
        return replace(self.observer.memory(orders, joins), busy=busy, provider=provider)

    def _with_proofs(self, view: ClusterView, policy: Policy, memory: Memory) -> tuple[Next, Memory]:
        """Proves the learner whose proof is all that an action lacks; the next one where that fails."""
        for learner in learners_to_prove(view, policy, memory, self._now()):
            proof = self.observer.prove(view, learner)
            if proof is not None:
                memory = replace(memory, proofs={**memory.proofs, learner.id: proof})
                break
        return decide_autopilot(view, policy, memory, self._now()), memory

    def _is_acting(self, key: ActingKey, decided: Round) -> bool:
        """Keeps the key of the instance that acts, or takes it where it is free; writes what was decided."""
        said = decided.said(self.cluster.clock.wall())
        if not key.lease and decided.orders.instance is not None:
            return False
        if not key.is_ours(said):
            return False
        if decided.orders.policy is None and self.policy is None:
            key.store.begin_with(decided.policy)
        now = self.cluster.clock.now()
        if _word(decided) != self._said or now - self._said_at >= _SAY_SECONDS:
            key.say(said)
            self._said_at = now
        return True

    def _tell(self, decided: Round) -> None:
        """Reports a decision once, and again when it changes."""
        if _word(decided) == self._said:
            return
        self._said = _word(decided)
        fields = next_fields(decided.next)
        _LOGGER.info("%s: %s", decided.next.rule, decided.next.why, extra={"fields": fields})
        text = f"{decided.next.rule}: {decided.next.why}"
        self.cluster.report(Notice(text, "warning") if isinstance(decided.next, Page) else Notice(text))

    def _now(self) -> float:
        return self.cluster.clock.now()


def _word(decided: Round) -> tuple[type, str]:
    """Returns what a decision is but for its numbers, which change from second to second."""
    return type(decided.next), decided.next.rule
