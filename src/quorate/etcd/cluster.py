"""Operations on any etcd cluster, for programs: typed, without printing, cancellable.

from quorate import Cluster, connect

with connect(["https://10.0.0.1:2379"], ca="ca.crt", cert="client.crt", key="client.key") as cluster:
    cluster.remove("node-c")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from quorate.arguments import checked
from quorate.core.absence import ABSENCE_SECONDS, Absence, check_absence_seconds
from quorate.core.actions import AddLearner
from quorate.core.ids import normalise_url, normalised
from quorate.core.invariants import Succession
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member, name_of, pick
from quorate.deadline import SystemClock
from quorate.errors import ConfigError
from quorate.etcd.client import maintenance
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership.engine import do_nothing
from quorate.etcd.membership.external import ExternalProcess, Start
from quorate.etcd.membership.first_step import agreed
from quorate.etcd.membership.join_state import JoinPolicy, JoinResult, forget, limits_of
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.etcd.observation.detail import Detail, hashes, lag_seconds
from quorate.etcd.observation.health import Health, check_health
from quorate.etcd.observation.look import LookTimeouts, endpoint_of, observe
from quorate.etcd.observation.write_probe import WriteProbe
from quorate.report import Report, silent

if TYPE_CHECKING:
    # The methods import what they need: a caller that only looks does not pay for the code that changes.
    from quorate.core.decide_converge import ConvergeGoal, NextStep, Wanted
    from quorate.core.finding import Finding
    from quorate.etcd.coordination.pending_joins import HeldLock, PendingJoin, PendingJoins
    from quorate.etcd.membership.executor import Note
    from quorate.etcd.membership.join import Join
    from quorate.etcd.membership.join_state import Remember
    from quorate.etcd.membership.remove import Removal
    from quorate.etcd.membership.replacement import Replacement

Check = Callable[[], None]


def no_note(_kind: str, _fields: dict[str, object]) -> None:
    """Drops the record: for callers that keep no journal."""


def nothing_to_start(_name: str, _rows: Sequence[tuple[str, str]]) -> None:
    """Starts nothing: for members that another party starts."""


@checked
@dataclass(frozen=True, slots=True)
class Cluster:
    """An etcd cluster reached through `endpoints`. `timeout`: seconds for one answer. `policy`: how joins and removals are
    done; `dataclasses.replace(cluster, policy=…)` returns a cluster with another policy over the same connections.
    `absence_seconds`: how long a voter must show no sign of life to count as dead. Raises subclasses of `QuorateError`."""

    access: Access
    endpoints: Sequence[Endpoint]
    clock: SystemClock = field(default_factory=SystemClock)
    report: Report = silent
    note: Note = no_note
    timeout: float = 5.0
    policy: JoinPolicy = field(default_factory=JoinPolicy)
    absence_seconds: float = ABSENCE_SECONDS

    def __post_init__(self) -> None:
        check_absence_seconds(self.absence_seconds)

    def look(self) -> ClusterView:
        """Returns the members and the status of each."""
        return observe(self.access, self.endpoints, self.clock, patience=LookTimeouts(self.timeout, min(self.timeout, 2.0)))

    def status(self) -> ClusterView:
        """Returns the members, the status of each, and the raised alarms."""
        return self.with_alarms(self.look())

    def with_alarms(self, view: ClusterView) -> ClusterView:
        """Returns what a look showed, with the alarms that are raised.

        A Status names them, too, as text. The question itself is a raft proposal, which each member writes to its disk: it is
        asked only where the leader's Status names something.
        """
        status = view.answer(view.leader.id) if view.leader else None
        if status is not None and not status.errors:
            return replace(view, alarms=())
        where = endpoint_of(self.access, view.leader) if view.leader else None
        if where is None:
            return replace(view, alarms_known=False)
        try:
            alarms = maintenance.alarms(self.access.channel(where), timeout=min(self.timeout, 2.0))
        except EtcdError as error:
            warnings = (*view.warnings, f"alarms are unknown: {error.text}")
            return replace(view, alarms_known=False, warnings=warnings)
        return replace(view, alarms=alarms)

    def with_standbys(self, view: ClusterView) -> ClusterView:
        """Returns what a look showed, with the learners that are standbys of the autopilot: one more read where there are
        learners."""
        if not view.learners:
            return replace(view, standbys=frozenset())
        from quorate.etcd.coordination.standby_marks import with_standbys

        return with_standbys(self.access, self.endpoints, self.clock, view, seconds=min(self.timeout, 2.0))

    def detail(self, view: ClusterView, *, with_hash: bool = False) -> Detail:
        """Returns more about the members that `status` showed: lag in seconds, and with `with_hash` the hash of each voter's
        keys, which scans their whole stores."""
        lags = lag_seconds(self.access, view, self.clock)
        return Detail(lags, hashes(self.access, view, timeout=max(self.timeout, 30.0)) if with_hash else {})

    def probe(self) -> WriteProbe:
        """Returns a writer, for a `with` block, that measures how long the cluster takes no writes."""
        members = [where for member in self.status().voters if (where := endpoint_of(self.access, member))]
        return WriteProbe(self.access.again(), members or self.endpoints, SystemClock())

    def health(self, *, write: bool = False) -> list[Health]:
        """Returns whether each member reads through the quorum, and with `write` also writes."""
        return check_health(self.access, self.status(), self.clock, timeout=self.timeout, write=write)

    def add(
        self,
        name: str,
        peer_url: str,
        *,
        start: Start = nothing_to_start,
        restart: Start | None = None,
        client: Endpoint | None = None,
    ) -> JoinResult:
        """Registers `name` as a learner, calls `start` with the initial cluster, waits until it is aligned, promotes and
        verifies it. When that fails before the promotion, the learner is removed again. `restart` restarts its process, if the
        caller can; it is called at most once, for a lost publish.

        Running it again continues: a learner at this peer URL under this name, or without a name, is used.
        """
        url, view = normalise_url(peer_url), self.status()
        known = view.by_peer_urls((url,))
        runtime = ExternalProcess(name, start, started=bool(known and known.started), restart_hook=restart)
        return self.join(JoinSpec(name, url, client, self.access.tls), runtime, view=view)

    def join(
        self,
        spec: JoinSpec,
        runtime: Runtime,
        checks: Sequence[Finding] = (),
        remember: Remember = forget,
        *,
        before_first_start: Callable[[], None] = do_nothing,
        view: ClusterView | None = None,
    ) -> JoinResult:
        """Joins a member as `add` does, with a `runtime` that starts, restarts and undoes its process. `checks`: findings of
        the caller, judged together with ours before the first change. `remember` stores what a later run must know.
        `before_first_start` is called before its etcd is started without data. `view`: what the caller has just seen."""
        from quorate.etcd.coordination.learner_seat import forget_record
        from quorate.etcd.membership.turn import Turn

        view = view or self.status()
        known = view.by_peer_urls((spec.peer_url,))
        self.check_join(view, spec.name, spec.peer_url, checks)
        if known is not None and not known.is_learner:
            result = self._join(spec, runtime, view.cluster_id).run()[0]
            forget_record(self.access, self.endpoints, spec.peer_url, self.clock)
            return result

        def join_of(taken_up: JoinSpec, store: Remember, keep: Callable[[], None]) -> Join:
            join = self._join(taken_up, runtime, view.cluster_id)
            join.remember, join.tick, join.before_first_start = store, keep, before_first_start
            return join

        stall, look = self.policy.stall_seconds, self.status
        turn = Turn(self.access, self.endpoints, self.clock, self.report, look, stall, self.timeout, self.policy.ends_as)
        return turn.run(spec, view.cluster_id, remember, join_of)

    def join_findings(self, view: ClusterView, name: str, peer_url: str, checks: Sequence[Finding] = ()) -> list[Finding]:
        """Returns what a join is judged by before its first change, `checks` of the caller included; changes nothing."""
        from quorate.core.new_member import check_owner

        known = view.by_peer_urls((peer_url,))
        if known is None:
            return [*checks, *self.preflight(view, name, [peer_url])]
        return [*(checks if known.is_learner else ()), *check_owner(view, name, [peer_url])]

    def check_join(self, view: ClusterView, name: str, peer_url: str, checks: Sequence[Finding] = ()) -> None:
        """Raises what a join would raise before its first change: `PreflightFailed`, or `UnsafeStep` when its first step would
        not be allowed; changes nothing. Waits until an election can be over, unless the policy is `voter_join`."""
        from quorate.core.view_findings import judge

        judge(self.join_findings(view, name, peer_url, checks), self.report)
        if view.by_peer_urls((peer_url,)) is None:
            self.check_add(view, name, [peer_url])

    def check_add(self, view: ClusterView, name: str, peer_urls: Sequence[str]) -> None:
        """Raises `UnsafeStep` when the first step of a join would not be allowed; changes nothing."""
        from quorate.etcd.membership.first_step import check_add

        check_add(self.status, view, AddLearner(name, tuple(peer_urls)), self.clock, at_once=self.policy.voter_join)

    def preflight(self, view: ClusterView, name: str, peer_urls: Sequence[str]) -> list[Finding]:
        """Returns the findings before a member is added at `peer_urls`; changes nothing."""
        from quorate.etcd.membership.preflight import found_before_an_add

        return found_before_an_add(
            self.access, self.clock, self.status, view, name=name, peer_urls=peer_urls, timeout=self.timeout
        )

    def register(self, name: str, peer_urls: Sequence[str]) -> tuple[Member, ClusterView]:
        """Adds `name` to the member list as a learner and does nothing more; returns it with that list.

        No join is recorded as its owner: a later `add` of it uses it, and rolls it back only after `adopt`.
        """
        from quorate.core.view_findings import judge
        from quorate.etcd.membership.register import Registration

        urls = tuple(map(normalise_url, peer_urls))
        if not urls:
            raise ConfigError("a member needs a peer URL")
        view = self.status()
        judge(self.preflight(view, name, urls), self.report)
        action = AddLearner(name, urls)
        return Registration(self.access, self.clock, self.endpoints, self.note, self.timeout, action).run()

    def leftovers(self, which: str | None = None) -> list[PendingJoin]:
        """Returns the joins that wait, that are at work, and that were cut off; or those whose run, member name or peer URL is
        `which`. Raises `ConfigError` when there is no such join."""
        view, pending = agreed(self.look()), self._pending()
        return pending.find(view) if which is None else pending.named(which, view)

    def held_lock(self) -> HeldLock | None:
        """Returns the holder of the lock for removals; None when it is free."""
        return self._pending().lock()

    def unlock_removals(self) -> HeldLock | None:
        """Frees the lock for removals; returns its holder. A run that holds it notices, and gives up before it removes."""
        return self._pending().free_lock()

    def unlock(self, which: str) -> list[PendingJoin]:
        """Frees the seats and records of the joins whose run, member name or peer URL is `which`; returns them.

        The member list stays as it is. Raises `ConfigError` when there is no such join.
        """
        return self._pending().free(which, agreed(self.look()))

    def adopt(self, which: str | Member, name: str) -> Member:
        """Makes `add(name, …)` the owner of the learner `which`: a later `add` finishes its join, or rolls it back."""
        view = agreed(self.look())
        return self._pending().adopt(pick(view, which), name, view)

    def check_adopt(self, which: str | Member, name: str) -> Member:
        """Raises what `adopt` would raise now, changing nothing; otherwise returns the learner."""
        view = agreed(self.look())
        return self._pending().check_adopt(pick(view, which), name, view)

    def _pending(self) -> PendingJoins:
        from quorate.etcd.coordination.pending_joins import PendingJoins

        return PendingJoins(self.access, self.endpoints, self.clock, self.timeout)

    def converge(
        self, wanted: Sequence[Wanted], *, start: Start = nothing_to_start, accept_reduced_tolerance: bool = False
    ) -> list[NextStep]:
        """Turns the present members into `wanted`, one safe step at a time; returns the steps taken.

        Raises `Refused` or `PreflightFailed` with nothing changed for a plan of which a step is known to be refused, what `add`
        and `remove` raise, and `PartlyDone` where a later step is refused. Running it again continues.
        """
        from quorate.core.decide_converge import ConvergeGoal
        from quorate.etcd.membership.converge import Convergence, first_check

        def join(row: Wanted) -> None:
            self.add(row.name, row.peer_url, start=start)

        check = first_check(self.check_join, partial(self.check_remove, accept_reduced_tolerance=accept_reduced_tolerance))
        remove = partial(self.remove, accept_reduced_tolerance=accept_reduced_tolerance)

        def look() -> ClusterView:
            return self.with_standbys(self.status())

        goal = ConvergeGoal(tuple(wanted), accept_reduced_tolerance)
        return Convergence(goal, self.clock, look, self.proved_dead, check, join, remove).run()

    def proved_dead(self, view: ClusterView, goal: ConvergeGoal) -> frozenset[int]:
        """Returns the unwanted voters whose absence is proved. Silence in one look does not prove death."""
        from quorate.core.decide_converge import unwanted_silent

        return frozenset(member.id for member in unwanted_silent(view, goal) if self.absence_of(member) is not None)

    def absence_of(self, member: Member) -> Absence | None:
        """Returns the proof that this voter is dead, or None. Takes `absence_seconds` when it is dead, less when it is not."""
        from quorate.etcd.observation.absence_watch import prove_absence

        return prove_absence(self.access, self.endpoints, member, self.clock, seconds=self.absence_seconds, report=self.report)

    def promote(self, which: str | Member) -> JoinResult | None:
        """Makes the learner `which` (name, hex id or peer URL) a voter once it is aligned; returns None when it is one already.

        This run does not own the learner: when it does not get aligned in time, nothing is undone.
        """
        member = self.check_promote(which)
        if not member.is_learner:
            return None
        name = member.name or f"{member.id:x}"
        memory = JoinMemory(member_id=member.id, listed=True)
        spec = JoinSpec(name, member.peer_urls[0], None, self.access.tls, memory)
        policy, runtime = replace(self.policy, keep_on_failure=True), ExternalProcess(name, nothing_to_start, started=True)
        return replace(self, policy=policy)._join(spec, runtime, self.status().cluster_id).run()[0]

    def check_promote(self, which: str | Member) -> Member:
        """Returns the member that `promote` would make a voter. Raises `Refused` for a voter of a list not agreed on."""
        view = self.status()
        member = pick(view, which)
        return member if member.is_learner else pick(agreed(view), which)

    def _join(self, spec: JoinSpec, runtime: Runtime, cluster_id: int) -> Join:
        from quorate.etcd.membership.join import Join

        limits, joiners = limits_of(self.policy, cluster_id), [(spec, runtime)]
        return Join(self.access, self.clock, self.endpoints, joiners, limits, self.policy, self.report, self.note)

    def remove(self, which: str | Member, *, accept_reduced_tolerance: bool = False) -> Member:
        """Removes the member `which`; leadership is moved away from it first. Returns the member as it was.

        Raises `UnsafeStep` with nothing changed when the removal would lower the margin without consent.
        """
        member = self.member(which)
        self._removal(member, consent=accept_reduced_tolerance).run()
        return member

    def check_remove(self, which: str | Member, *, accept_reduced_tolerance: bool = False) -> Member:
        """Raises what `remove` would raise now, changing nothing; otherwise returns the member."""
        member = self.member(which)
        self._removal(member, consent=accept_reduced_tolerance).check()
        return member

    def _removal(
        self, member: Member, *, consent: bool, absence: Absence | None = None, succession: Succession | None = None
    ) -> Removal:
        from quorate.core.decide_remove import RemoveGoal
        from quorate.etcd.membership.removal_judge import RemovePolicy
        from quorate.etcd.membership.remove import Removal

        goal = RemoveGoal(member.id, member.name or f"{member.id:x}", absence)
        policy = RemovePolicy(self.policy.stall_seconds, self.absence_seconds, consent, succession=succession)
        return Removal(self.access, self.clock, self.endpoints, goal, self.report, self.note, policy)

    def replace(self, old: str | Member, name: str, peer_url: str, *, start: Start = nothing_to_start) -> JoinResult:
        """Puts `name` in the place of `old`; see `swap`."""
        from quorate.core.view_findings import judge

        def check() -> None:
            judge(self.join_findings(self.status(), name, normalise_url(peer_url)), self.report)

        return self.swap(old, peer_url, lambda: self.add(name, peer_url, start=start), check)

    def swap(self, old: str | Member, peer_url: str, join: Callable[[], JoinResult], check: Check = do_nothing) -> JoinResult:
        """Joins the member at `peer_url` with `join` in the place of `old`; see `Replacement`."""
        return self._replacement(peer_url).run(name_of(old), join, check)

    def check_swap(self, old: str | Member, peer_url: str, check: Callable[[], object]) -> tuple[Member | None, bool]:
        """Raises what `swap` would raise before its first change; see `Replacement.check`."""
        return self._replacement(peer_url).check(name_of(old), check)

    def _replacement(self, peer_url: str) -> Replacement:
        from quorate.etcd.coordination.replacements import Replacements
        from quorate.etcd.membership.replacement import Replacement

        cluster_id = self.access.routes.cluster_id or self.status().cluster_id
        records = Replacements(self.access, self.endpoints, self.clock, cluster_id, normalised(peer_url))
        consent = self.policy.accept_reduced_tolerance
        dead, live = partial(self._removal, consent=False), partial(self._removal, consent=consent)
        return Replacement(records, self.status, self.absence_of, dead, live, consent)

    def move_leader(self, which: str | Member) -> Member:
        """Transfers leadership to the voter `which`; returns it once it leads.

        Raises `UnsafeStep` with nothing changed for a voter that does not follow or is not known to be linked to a majority,
        `LeaderStays` when another leads after it, and `OutcomeUnknown` when nobody is seen to lead.
        """
        from quorate.etcd.membership.leadership import Reached, move_leader

        consent, reached = self.policy.accept_reduced_tolerance, Reached(self.access, self.clock)
        return move_leader(reached, self.look, which, self.report, timeout=self.timeout, consent=consent)

    def member(self, which: str | Member) -> Member:
        """Returns the member of that name, hex id or peer URL as it is now; raises `ConfigError` for none or several."""
        return pick(self.status(), which)
