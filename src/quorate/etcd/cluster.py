"""The verbs on any etcd cluster, for programs: typed, without printing, cancellable.

from quorate import Cluster, connect

with connect(["https://10.0.0.1:2379"], ca="ca.crt", cert="client.crt", key="client.key") as cluster:
    print(cluster.status().leader)
    cluster.remove("node-c")
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from quorate.core import invariants
from quorate.core.actions import AddLearner, Done, MoveLeader, Refuse, Remove
from quorate.core.decide_converge import Converge, JoinNext, NextStep, RemoveNext, Wanted, decide_converge
from quorate.core.decide_remove import Leave
from quorate.core.ids import normalise_url
from quorate.core.invariants import Limits, Step
from quorate.core.membership import ClusterView, Member, find_members
from quorate.core.preflight import Finding, findings
from quorate.deadline import Deadline, SystemClock
from quorate.errors import ConfigError, PreflightFailed, Refused
from quorate.etcd import maintenance
from quorate.etcd.access import Access
from quorate.etcd.agreement import Comparison, learners_there
from quorate.etcd.change import Note
from quorate.etcd.channel import Channel
from quorate.etcd.claim import Bid, Claim, claimed, forget_record
from quorate.etcd.detail import Detail, hashes, lag_seconds
from quorate.etcd.elsewhere import Elsewhere, Start
from quorate.etcd.endpoint import Endpoint
from quorate.etcd.errors import EtcdError
from quorate.etcd.health import Health, check_health
from quorate.etcd.join import Join, do_nothing
from quorate.etcd.leave import Removal
from quorate.etcd.leftovers import Leftover, drop_old_proofs, free
from quorate.etcd.leftovers import adopt as adopt_learner
from quorate.etcd.leftovers import find as find_leftovers
from quorate.etcd.observe import Patience, endpoint_of, observe
from quorate.etcd.probe import WriteProbe
from quorate.etcd.register import Registration
from quorate.etcd.runtime import JoinSpec, Runtime
from quorate.etcd.track import JoinResult, Settings
from quorate.report import Notice, Report, silent

_MOST_STEPS = 64


def no_note(_kind: str, _fields: dict[str, object]) -> None:
    """For callers that keep no journal."""


def nothing_to_start(_name: str, _rows: Sequence[tuple[str, str]]) -> None:
    """For members that somebody else starts."""


@dataclass(slots=True)
class Cluster:
    """An etcd cluster reached through `endpoints`. `timeout`: seconds for one answer; `stall_seconds`: how long a join
    may go without progress; `restart_learner`: whether a learner that lost its publish may be restarted once;
    `keep_on_failure`: take nothing back; `voter_join`: the join of before there were learners, which stops writes until the
    new member runs. Raises subclasses of `QuorateError`."""

    access: Access
    endpoints: Sequence[Endpoint]
    clock: SystemClock = field(default_factory=SystemClock)
    report: Report = silent
    note: Note = no_note
    timeout: float = 5.0
    stall_seconds: float = 60.0
    restart_learner: bool = True
    keep_on_failure: bool = False
    voter_join: bool = False

    def status(self) -> ClusterView:
        """The members, what each says of itself, and the alarms that are raised."""
        patience = Patience(self.timeout, min(self.timeout, 2.0))
        view = observe(self.access, self.endpoints, self.clock, patience=patience)
        where = endpoint_of(view.leader) if view.leader else None
        if where is None:
            return view
        try:
            alarms = maintenance.alarms(self.access.channel(where), timeout=patience.status)
        except EtcdError as error:
            return replace(view, warnings=(*view.warnings, f"alarms are not known: {error.text}"))
        return replace(view, alarms=alarms)

    def detail(self, view: ClusterView, *, with_hash: bool = False) -> Detail:
        """A closer look at what `status` showed: lag in seconds, and with `with_hash` the hash of each voter's keys, which
        scans their whole stores."""
        lags = lag_seconds(self.access, view, self.clock)
        return Detail(lags, hashes(self.access, view, timeout=max(self.timeout, 30.0)) if with_hash else {})

    def probe(self) -> WriteProbe:
        """A writer for its `with`, to measure how long the cluster takes no writes."""
        members = [where for member in self.status().voters if (where := endpoint_of(member))]
        return WriteProbe(self.access.again(), members or self.endpoints, SystemClock())

    def health(self, *, write: bool = False) -> list[Health]:
        """Whether every member reads through the quorum, and with `write` also writes."""
        return check_health(self.access, self.status(), self.clock, timeout=self.timeout, write=write)

    def add(self, name: str, peer_url: str, *, start: Start = nothing_to_start, client: Endpoint | None = None) -> JoinResult:
        """Register `name` as a learner, call `start` with the initial cluster, wait until it is aligned, promote and
        verify it. When that fails before the promotion, the learner is removed again.

        Running it again continues what is there: a learner at this peer URL under this name, or without one, is taken up.
        """
        url, view = normalise_url(peer_url), self.status()
        known = view.by_peer_urls((url,))
        runtime = Elsewhere(start, started=bool(known and known.started))
        return self.join(JoinSpec(name, url, client, self.access.tls), runtime)

    def join(self, spec: JoinSpec, runtime: Runtime, checks: Sequence[Finding] = ()) -> JoinResult:
        """As `add`, for a member whose process `runtime` starts, restarts and undoes. `checks` are findings of the caller's
        own, judged together with ours before the first change."""
        view = self.status()
        known = view.by_peer_urls((spec.peer_url,))
        if known is not None and not known.is_learner:
            result = self._run(spec, runtime, self._settings())
            forget_record(self._leader_channel(view), spec.peer_url)
            return result
        self._judge([*checks, *(self.preflight(view, spec.peer_url) if known is None else ())])
        bid = Bid(secrets.token_hex(8), spec.name, spec.peer_url, view.cluster_id, registered=known is not None)
        with claimed(self._leader_channel(view), bid, self.clock, self.report) as claim:
            taken_up = replace(
                spec,
                ours=spec.ours or claim.ours,
                restarted=spec.restarted or claim.restarted,
                promotion_unknown=spec.promotion_unknown or claim.promotion_unknown,
            )
            return self._run(taken_up, runtime, self._settings(), claim)

    def preflight(self, view: ClusterView, peer_url: str) -> list[Finding]:
        """What there is to say before a member is added at `peer_url`; changes nothing."""
        found = findings(view, peer_url)
        found += Comparison(self.access, self.status, self.clock, self.timeout).disagreements(view)
        if view.leader is not None:
            found += learners_there(self._leader_channel(view), view, peer_url, timeout=self.timeout)
        return found

    def _judge(self, found: Sequence[Finding]) -> None:
        """Say what is worth a warning; raise `PreflightFailed` for what would make the join fail or do harm."""
        for finding in found:
            if finding.level == "warning":
                self.report(Notice(f"{finding.text}{f' ({finding.advice})' if finding.advice else ''}", "warning"))
        errors = [finding for finding in found if finding.level == "error"]
        if errors:
            raise PreflightFailed(
                "; ".join(finding.text for finding in errors),
                state="nothing was changed",
                advice="; ".join(finding.advice for finding in errors if finding.advice),
            )

    def register(self, name: str, peer_urls: Sequence[str]) -> tuple[Member, ClusterView]:
        """Add `name` to the member list as a learner and leave the rest to the caller; returns it with that list.

        Nobody is recorded as its owner: a later `add` of it uses it, and takes it back only after `adopt`.
        """
        urls = tuple(map(normalise_url, peer_urls))
        if not urls:
            raise ConfigError("a member needs a peer URL")
        view = self.status()
        self._judge([finding for url in urls for finding in self.preflight(view, url)])
        run = Registration(self.access, self.clock, self.endpoints, self.note, self.timeout)
        return run.run(AddLearner(name, urls))

    def leftovers(self) -> list[Leftover]:
        """The joins that wait, that are at work, and that were cut off."""
        view = self.status()
        return find_leftovers(self._leader_channel(view), view, timeout=self.timeout)

    def unlock(self, which: str) -> list[Leftover]:
        """Free the places and records of the joins whose run, member name or peer URL is `which`; returns them.

        The member list stays as it is. Raises `ConfigError` when there is none.
        """
        found = [row for row in self.leftovers() if which in (row.run, row.name, row.peer_url)]
        if not found:
            raise ConfigError(f"no join named {which!r} holds anything", state="nothing was changed")
        view = self.status()
        channel = self._leader_channel(view)
        for row in found:
            free(channel, row, timeout=self.timeout)
        drop_old_proofs(channel, view, timeout=self.timeout)
        return found

    def adopt(self, which: str, name: str) -> Member:
        """Make the learner `which` one that `add(name, …)` owns: it finishes the join, or takes it back."""
        view = self.status()
        member = pick(view, which)
        if member.name and member.name != name:
            raise ConfigError(f"that learner has started as {member.name}", state="nothing was changed")
        bid = Bid(secrets.token_hex(8), name, member.peer_urls[0], view.cluster_id, registered=True)
        adopt_learner(self._leader_channel(view), member, bid, timeout=self.timeout)
        return member

    def converge(
        self, wanted: Sequence[Wanted], *, start: Start = nothing_to_start, accept_reduced_tolerance: bool = False
    ) -> list[NextStep]:
        """Turn the members there are into `wanted`, one safe step at a time; returns the steps taken.

        Raises `Refused` where no safe step is left, and what `add` and `remove` raise. Running it again continues.
        """
        goal = Converge(tuple(wanted), accept_reduced_tolerance)
        taken: list[NextStep] = []
        while len(taken) < _MOST_STEPS:
            match decide_converge(self.status(), goal):
                case Done():
                    return taken
                case Refuse(why=why, advice=advice):
                    raise Refused(why, state=f"{len(taken)} steps were taken before", advice=advice)
                case JoinNext(member=row) as step:
                    self.add(row.name, row.peer_url, start=start)
                    taken.append(step)
                case RemoveNext(member=member) as step:
                    self.remove(f"{member.id:x}", accept_reduced_tolerance=accept_reduced_tolerance)
                    taken.append(step)
        raise Refused(f"{_MOST_STEPS} steps did not lead there: somebody else changes the members too")

    def promote(self, which: str) -> JoinResult | None:
        """Make the learner `which` (name, hex id or peer URL) a voter once it is aligned; None when it is one already.

        It is somebody else's learner: when it does not get aligned in time nothing is undone.
        """
        member = self.member(which)
        if not member.is_learner:
            return None
        name = member.name or f"unstarted-{member.id:x}"
        spec = JoinSpec(name, member.peer_urls[0], None, self.access.tls)
        settings = replace(self._settings(), keep_on_failure=True)
        return self._run(spec, Elsewhere(nothing_to_start, started=True), settings)

    def _settings(self) -> Settings:
        return Settings(
            self.stall_seconds,
            keep_on_failure=self.keep_on_failure,
            restart_learner=self.restart_learner,
            voter_join=self.voter_join,
        )

    def _run(self, spec: JoinSpec, runtime: Runtime, settings: Settings, claim: Claim | None = None) -> JoinResult:
        held = claim or Claim(ours=False, keep=do_nothing)

        def note(kind: str, fields: dict[str, object]) -> None:
            self.note(kind, fields)
            held.note(kind, fields)

        join = Join(self.access, self.clock, runtime, self.endpoints, [spec], self.report, note, settings, held.keep)
        (result,) = join.run()
        return result

    def _leader_channel(self, view: ClusterView) -> Channel:
        where = endpoint_of(view.leader) if view.leader else None
        if where is None:
            raise Refused(
                "no member says that it leads",
                state="nothing was changed",
                advice="wait for the election, or bring voters back, then run the same command again",
            )
        return self.access.channel(where)

    def remove(self, which: str, *, accept_reduced_tolerance: bool = False) -> Member:
        """Remove the member `which`; leadership is moved away from it first. Returns it as it was.

        Raises `UnsafeStep` with nothing changed when the others would be worse off.
        """
        member = self.member(which)
        goal = Leave(member.id, member.name or f"{member.id:x}")
        Removal(
            self.access,
            self.clock,
            self.endpoints,
            goal,
            self.report,
            self.note,
            accept_reduced_tolerance=accept_reduced_tolerance,
        ).run()
        return member

    def replace(self, old: str, name: str, peer_url: str, *, start: Start = nothing_to_start) -> JoinResult:
        """Put `name` in the place of `old`; see `swap`."""
        return self.swap(old, lambda: self.add(name, peer_url, start=start))

    def swap(self, old: str, join: Callable[[], JoinResult]) -> JoinResult:
        """Join a member with `join` in the place of `old`: a live one goes last, when the new one serves; a dead one goes
        first, for a dead voter counts against the quorum, and before 3.5.30 and 3.6.11 etcd refuses an add beside it.

        Running it again continues: an `old` that is gone already is not looked for.
        """
        view = self.status()
        found = find_members(view, old)
        alive = any(view.answer(member.id) is not None for member in found)
        if found and not alive:
            self.remove(old)
        joined = join()
        if alive:
            # Named as replaced: with the new one there, its removal leaves as many to fail as before.
            self.remove(old, accept_reduced_tolerance=True)
        return joined

    def check_remove(self, which: str, *, accept_reduced_tolerance: bool = False) -> Member:
        """Say whether `remove` would be allowed now, changing nothing; raises what it would raise."""
        view = self.status()
        member = pick(view, which)
        limits = Limits(view.cluster_id, accept_reduced_tolerance=accept_reduced_tolerance)
        invariants.check(Step(view, Remove(member.id, named=True), limits, self.clock.now()))
        return member

    def move_leader(self, which: str) -> Member:
        """Hand leadership to the voter `which`; returns it once it leads."""
        view = self.status()
        target, leader, channel = pick(view, which), view.leader, self._leader_channel(view)
        if target.is_learner or view.answer(target.id) is None:
            why = "it is a learner" if target.is_learner else "it does not answer"
            raise Refused(f"{target.name} cannot lead: {why}", state="nothing was changed")
        if leader is None or leader.id != target.id:
            invariants.check(Step(view, MoveLeader(target.id), Limits(view.cluster_id), self.clock.now()))
            maintenance.move_leader(channel, target.id, timeout=self.timeout)
        self._wait(lambda seen: seen.leader is not None and seen.leader.id == target.id, f"{target.name} leads")
        return target

    def member(self, which: str) -> Member:
        """The member of that name, hex id or peer URL; raises `ConfigError` for none or several."""
        return pick(self.status(), which)

    def _wait(self, holds: Callable[[ClusterView], bool], goal: str) -> None:
        deadline = Deadline(self.clock, 10.0, goal)
        while not deadline.expired:
            try:
                if holds(self.status()):
                    return
            except EtcdError as error:
                if error.disposition == "final":
                    raise
            self.clock.sleep(0.1)
        raise deadline.error()


def pick(view: ClusterView, which: str) -> Member:
    """The one member meant by `which`; raises `ConfigError` naming the choices."""
    found = find_members(view, which)
    if len(found) == 1:
        return found[0]
    rows = ", ".join(f"{member.name or '(unstarted)'} ({member.id:x})" for member in found or view.members)
    why = "names several members" if found else "is no member of this cluster"
    raise ConfigError(f"{which!r} {why}: {rows}", state="nothing was changed", advice="name it by its hex id")
