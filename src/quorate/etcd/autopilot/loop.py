"""The rounds of the autopilot: look, decide, do at most one thing, and look again."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from quorate.core.autopilot.case import Act, AddStandby, Failed, Memory, Next, Page, Wait
from quorate.core.autopilot.guards import without_list, without_quorum
from quorate.core.autopilot.policy import Policy
from quorate.core.decide_autopilot import decide_autopilot, learners_to_prove, tried_on
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.deadline import utc
from quorate.errors import HostError, QuorateError
from quorate.etcd.autopilot.act import carry_out, did_by
from quorate.etcd.autopilot.ages import Ages
from quorate.etcd.autopilot.last_word import Decided, end_void_notes, refuse_provided
from quorate.etcd.autopilot.observer import Observer, at_work
from quorate.etcd.autopilot.own_node import STACKED_SECONDS, OwnNode, is_stacked
from quorate.etcd.autopilot.providing import Providing, StandbyMaker
from quorate.etcd.client.credentials import Credentials
from quorate.etcd.client.errors import CorruptCluster, EtcdError, LeaseNotFound, NoSpace, PermissionDenied
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.coordination.autopilot_store import ActingKey, AutopilotStore
from quorate.etcd.coordination.pending_joins import HeldLock, PendingJoin, PendingJoins
from quorate.etcd.observation.look import TwoClusters
from quorate.report import Notice

ROUND_SECONDS = 1.0
_SAY_SECONDS = 15.0
"""At least so often the acting instance writes what it decided: `status` tells an old word by its age."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round. `view`: None when no member answered. `policy`, `orders`: what was decided on, and the records; None where
    they were never read, and `read_ago` seconds old. `memory`: what the looks add up to. `acts`: whether this instance may act;
    `failed`: why the action did not succeed; `seconds`: how long it took."""

    next: Next
    view: ClusterView | None = None
    policy: Policy | None = None
    memory: Memory = field(default_factory=Memory)
    orders: Orders | None = None
    read_ago: float = 0.0
    acts: bool = False
    failed: str = ""
    seconds: float = 0.0

    def as_dict(self, wall: float) -> dict[str, object]:
        """Returns the round as JSON fields; null for what was not read."""
        return {
            **self.said(wall),
            "at": utc(wall),
            "acting": self.acts,
            "recordsSecondsAgo": round(self.read_ago, 1) if self.orders is not None else None,
            "cluster": self.view.as_dict() if self.view is not None else None,
        }

    def said(self, wall: float) -> dict[str, object]:
        """Returns what was decided, as fields for the record of the instance; `wall`: unix seconds, as in every record."""
        silent = {format_id(member): round(at, 1) for member, at in self.silent_seconds().items()}
        return {
            **next_fields(self.next),
            "at": wall,
            "silentSeconds": silent if self.view is not None else None,
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


def default_policy(view: ClusterView, marked: Container[int]) -> Policy:
    """Returns the policy of a cluster for which none was set: as many voters as there are, or one more where that number is
    even, and as many standbys. `marked`: the standbys by their marks, of which some may be members no more. Without them a
    standby that took the place of a voter was not missed, and the next loss was not replaced."""
    count = len(view.voters)
    standbys = sum(1 for learner in view.learners if learner.id in marked)
    return Policy(voters=min(count if count % 2 else count + 1, 7), standbys=standbys)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The records as they were read last, and the policy that was followed then. `at`: seconds of the clock of the looks."""

    orders: Orders
    policy: Policy | None
    at: float


@dataclass(frozen=True, slots=True)
class _Unfit:
    """Why this instance cannot act, and until when it does not try again."""

    why: str
    until: float


_Changes: TypeAlias = tuple[Sequence[PendingJoin], HeldLock | None]
_UNFIT_SECONDS, _FORGET_SECONDS = 60.0, 900.0


def _tell_nobody(_decided: Round) -> None:
    pass


@dataclass(slots=True)
class Autopilot:
    """One instance. `acting` takes the key of the instance that acts; without it nothing is changed, as in a dry run.
    `policy`: decided on instead of the one in etcd, for a trial of it. `maker`: makes standbys that are missing. `own`: the
    control-plane node that it runs on. `tell`: gets each decision before it is carried out."""

    cluster: Cluster
    acting: bool = True
    policy: Policy | None = None
    maker: StandbyMaker | None = None
    own: OwnNode | None = None
    tell: Callable[[Round], None] = _tell_nobody
    observer: Observer = field(init=False)
    credentials: Credentials = field(init=False)
    _key: ActingKey | None = None
    _providing: Providing = field(init=False)
    _stacked: tuple[float, bool] | None = None
    _said: tuple[type, str] | None = None
    _said_at: float = 0.0
    _ages: Ages = field(default_factory=Ages)
    _told_silent: frozenset[int] | None = None
    has_acted: bool = False
    _read: _Reading | None = None
    _has_begun: bool = False
    _failed: dict[int, Failed] = field(default_factory=dict[int, Failed])
    _unfit: _Unfit | None = None

    def __post_init__(self) -> None:
        self.observer = Observer(self.cluster)
        self.credentials = Credentials(self.cluster.access)
        self._providing = Providing(self.maker)

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
        if self._key is None:
            return
        self._providing.leave(self._key.store)
        self._key.leave()

    def round(self) -> Round:
        """Takes one look, decides, and carries out what was decided if this instance acts."""
        if said := self.credentials.refresh():
            self.cluster.report(Notice(said))
        decided = self._decided()
        self.has_acted = self.has_acted or decided.acts
        self.tell(decided)
        found, view, key = decided.next, decided.view, self._key
        if not decided.acts or view is None or key is None or not isinstance(found, Act | AddStandby):
            return decided
        began = self.cluster.clock.now()
        failed = self._failure_of(found, view, key, decided)
        self._remember(found, failed, decided.policy.after if decided.policy is not None else None)
        did = did_by(found, view) if isinstance(found, Act) else f"the program that makes one was started: {found.why}"
        said = f"{found.why}, and it could not be done: {failed}" if failed else did
        self.cluster.report(Notice(said, "warning") if failed else Notice(said))
        return replace(decided, failed=failed, seconds=self.cluster.clock.now() - began)

    def _failure_of(self, found: Act | AddStandby, view: ClusterView, key: ActingKey, decided: Round) -> str:
        """Carries it out; returns why that did not succeed."""
        try:
            if isinstance(found, Act):
                policy = decided.policy or default_policy(view, ())
                carry_out(self.cluster, key, found, view, decided.orders or Orders(), wanted=policy.voters)
            else:
                wanted = decided.policy.standbys if decided.policy is not None else 0
                refuse_provided(Decided(key, view, decided.orders or Orders()), self.cluster, wanted)
                self._providing.make(found, view, key.store)
        except PermissionDenied:
            # The next try would be refused too, and count against the budget.
            raise
        except HostError as error:
            # Of this host: another instance may be able to, and gets the key.
            self._unfit = _Unfit(error.what, self._now() + _UNFIT_SECONDS)
            key.leave()
            return error.what
        except QuorateError as error:
            self.cluster.clock.cancel.check()
            return error.what
        return ""

    def _remember(self, found: Act | AddStandby, failed: str, after: float | None) -> None:
        """Keeps what failed, for a while: the next decision tries another member first, waits longer, and calls somebody."""
        now, member = self._now(), tried_on(found)
        # A loss is proved anew after each failure, and that takes as long as the policy says.
        kept_for = max(_FORGET_SECONDS, 2 * (after or 0.0))
        self._failed = {one: kept for one, kept in self._failed.items() if now - kept.at < kept_for}
        before = self._failed.pop(member, None)
        if failed and member:
            self._failed[member] = Failed(before.count + 1 if before is not None else 1, now, failed)

    def _decided(self) -> Round:
        followed = self._read.policy if self._read is not None else None
        try:
            view = self.observer.look(followed or Policy())
        except EtcdError as error:
            if error.disposition == "final":
                raise
            return self._unread(Page("unreachable", f"no member can be asked: {error.what}"), None)
        except TwoClusters as error:
            return self._without(error)
        if not view.linearizable:
            return self._unread(without_quorum(view) or without_list(), view)
        try:
            return self._judged(view)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            return self._unread(Page("not-read", f"what is kept in etcd cannot be read: {error.what}"), view)

    def _without(self, error: TwoClusters) -> Round:
        """Goes on without the endpoints at which another cluster answers, once this run knows its own: a voter that was wiped
        and begun anew is one that does not answer, and ended every instance. Before that it is not known which is meant."""
        left = [one for one in self.cluster.endpoints if one not in error.strangers]
        if not self.cluster.access.routes.cluster_id or self._read is None:
            return self._unread(Page("two-clusters", f"{error.what}: {error.advice}"), None)
        if not left:
            raise error
        self.cluster = replace(self.cluster, endpoints=left)
        self.observer.cluster = self.cluster
        if self._key is not None:
            self._key.store = replace(self._key.store, seeds=left)
        self.cluster.report(Notice(f"{error.what}: it is not asked there any more", "warning"))
        return self._decided()

    def _unread(self, found: Next, view: ClusterView | None) -> Round:
        """Returns a round in which no record was read: with those that were read last, if any were."""
        read, silent = self._read, self.observer.sight.silent_since
        if read is None:
            return Round(found, view, memory=Memory(silent_since=silent))
        memory = Memory(silent_since=silent, standbys=frozenset(read.orders.standbys))
        return Round(found, view, read.policy, memory, read.orders, read_ago=self._now() - read.at)

    def _judged(self, view: ClusterView) -> Round:
        key = self._key_of(view)
        orders, has_others = key.store.read_with_others()
        if orders.troubles:
            self._read = _Reading(orders, orders.policy, self._now())
            return Round(Page("bad-record", "; ".join(orders.troubles)), view, orders.policy, orders=orders)
        orders = self._ages.current(orders, key.store, self._now(), acting=self._holds_the_key())
        view = replace(view, standbys=frozenset(one.id for one in view.learners if one.id in orders.standbys))
        policy = self.policy or orders.policy or default_policy(view, orders.standbys)
        if not self._has_begun:
            self._has_begun = True
            self.observer.begin_with(orders.silent)
        if self.own is not None and self.acting:
            self.own.attend(view, key.store)
        self._read = _Reading(orders, policy, self._now())
        memory = self._memory(view, orders, policy, self._changes(view) if has_others else ([], None))
        found, memory = self._with_proofs(view, policy, memory)
        decided = Round(found, view, policy, memory, orders)
        if self._unfit is not None and self._now() < self._unfit.until:
            left, why = self._unfit.until - self._now(), self._unfit.why
            cannot = Page(
                "cannot-act", f"{found.why}; this instance cannot do it for {left:.0f} s more, another one may: {why}"
            )
            return replace(decided, next=cannot) if isinstance(found, Act | AddStandby) else decided
        return replace(decided, acts=True) if self.acting and self._may_act(key, policy, decided) else decided

    def _may_act(self, key: ActingKey, policy: Policy, decided: Round) -> bool:
        """Keeps the books of the instance that acts. A cluster that takes no writes is no reason to end: it is what is said."""
        try:
            return self._is_acting(key, policy, decided)
        except (NoSpace, CorruptCluster, LeaseNotFound) as error:
            self.cluster.report(Notice(f"what is decided cannot be written to etcd: {error.what}", "warning"))
            return False

    def _key_of(self, view: ClusterView) -> ActingKey:
        if self._key is None:
            cluster = self.cluster
            self._key = ActingKey(AutopilotStore(cluster.access, cluster.endpoints, cluster.clock, view.cluster_id))
        return self._key

    def _changes(self, view: ClusterView) -> _Changes:
        """Returns the joins that are under way, or were cut off, and the lock of a change."""
        cluster = self.cluster
        return PendingJoins(cluster.access, cluster.endpoints, cluster.clock, cluster.timeout).find_all(view)

    def _memory(self, view: ClusterView, orders: Orders, policy: Policy, changes: _Changes) -> Memory:
        joins, lock = changes
        busy = at_work(view, joins, lock)
        now, store = self._now(), self._key_of(view).store
        is_missing = sum(one.id in orders.standbys for one in view.learners) < policy.standbys
        provider = self._providing.state(orders, store, is_missing=is_missing)
        ages = self._ages.spent(orders, store, now, acting=self._holds_the_key())
        spent = tuple(now - ago for ago in ages)
        known = self.observer.memory(orders, joins)
        # By the log too: its entries of an earlier version have no key of their own.
        stacked = self._is_stacked(store, now)
        spent = spent or known.replaced
        known = replace(known, provider=provider, provider_why=self._providing.why, failed=self._failed)
        return replace(known, busy=busy, replaced=spent, is_stacked=stacked)

    def _is_stacked(self, store: AutopilotStore, now: float) -> bool:
        if self._stacked is None or now - self._stacked[0] >= STACKED_SECONDS:
            try:
                self._stacked = (now, is_stacked(store.kubernetes_setup()))
            except PermissionDenied as error:
                # Only in a dry run: a user who may change members may read everything.
                if self._stacked is None:
                    said = f"it cannot be read whether control planes are stacked, and they are taken for it: {error.what}"
                    self.cluster.report(Notice(said, "warning"))
                self._stacked = (now, True)
        return self._stacked[1]

    def _with_proofs(self, view: ClusterView, policy: Policy, memory: Memory) -> tuple[Next, Memory]:
        """Proves the learner whose proof is all that an action lacks; the next one where that fails."""
        for learner in learners_to_prove(view, policy, memory, self._now()):
            proof = self.observer.prove(view, learner)
            if proof is not None:
                memory = replace(memory, proofs={**memory.proofs, learner.id: proof})
                break
        return decide_autopilot(view, policy, memory, self._now()), memory

    def _is_acting(self, key: ActingKey, policy: Policy, decided: Round) -> bool:
        """Keeps the key of the instance that acts, or takes it where it is free; writes what was decided."""
        orders, said = decided.orders, decided.said(self.cluster.clock.wall())
        if not key.lease and orders is not None and orders.instance is not None:
            return False
        if not key.is_ours(said):
            return False
        if orders is not None and orders.policy is None and self.policy is None:
            key.store.begin_with(policy, orders)
            if isinstance(decided.next, Act | AddStandby):
                # What is done is decided by a policy that was read.
                return False
        if orders is not None and decided.view is not None:
            end_void_notes(key.store, orders, decided.view)
        now, word, silent = self.cluster.clock.now(), word_of(decided.next), decided.silent_seconds()
        is_due = word != self._said or now - self._said_at >= _SAY_SECONDS
        if is_due:
            key.say(said)
            self._said, self._said_at = word, now
        if frozenset(silent) != self._told_silent or (is_due and silent):
            key.store.say_silent(self.observer.silences(silent))
            self._told_silent = frozenset(silent)
        return True

    def _holds_the_key(self) -> bool:
        return self.acting and self._key is not None and self._key.lease != 0

    def _now(self) -> float:
        return self.cluster.clock.now()


def word_of(found: Next) -> tuple[type, str]:
    """Returns what a decision is but for its numbers, which change from second to second."""
    return type(found), found.rule
