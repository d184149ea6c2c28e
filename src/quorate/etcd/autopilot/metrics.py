"""The metrics of one instance of the autopilot, in Prometheus' text format. Names and labels are an interface
(docs/autopilot.md); member names are other people's text, which the format quotes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from quorate.core.autopilot.case import Act, AddStandby, Page, Wait
from quorate.core.decide_autopilot import explained
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, MemberStatus, lag_of, margin_of
from quorate.etcd.autopilot.loop import Round
from quorate.foreign.text import visible

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_MOST_NAME = 128
_HISTORY = 600
"""Looks whose leader's raft index is kept, for the lag in seconds: ten minutes."""
_BUCKETS = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_MEMBER = ("id", "name")
_FORBIDS = frozenset({"paused", "stale-look", "no-list"})
"""The rules that forbid everything without calling anybody."""

_Gauges = Iterator[GaugeMetricFamily]


@dataclass(slots=True)
class Exporter(Collector):
    """Keeps the last round and what the rounds add up to. One thread shows rounds, others make pages: a page is made of one
    round as a whole."""

    version: str
    last: tuple[Round, float] | None = None
    _actions: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _indices: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    _durations: list[float] = field(default_factory=list[float])
    _lock: Lock = field(default_factory=Lock)

    def show(self, decided: Round, wall: float) -> None:
        """Adds a round that ended at `wall` (unix seconds)."""
        with self._lock:
            self._add(decided, wall)

    def _add(self, decided: Round, wall: float) -> None:
        view = decided.view
        leader = view.answer(view.leader.id) if view is not None and view.leader is not None else None
        if view is not None and leader is not None:
            self._indices.append((view.taken_at, leader.raft_index))
        if decided.acts and isinstance(decided.next, Act | AddStandby):
            self._actions[decided.next.rule, "failed" if decided.failed else "done"] += 1
            if decided.next.rule == "replace" and not decided.failed:
                self._durations.append(decided.seconds)
        self.last = (decided, wall)

    def page(self) -> bytes:
        """Returns the metrics as text."""
        with self._lock:
            return generate_latest(self)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily]:
        yield _one("quorate_build_info", "The version of quorate.", ("version",), ((self.version,), 1.0))
        yield self._counted()
        yield self._timed()
        if self.last is None:
            return
        decided, wall = self.last
        yield _one("quorate_autopilot_last_look_timestamp_seconds", "When the last look ended.", (), ((), wall))
        yield from _of_decision(decided)
        if decided.view is not None:
            yield from _of_cluster(decided, decided.view)
            yield from _of_members(decided, decided.view)
            yield self._lags(decided.view)

    def _counted(self) -> CounterMetricFamily:
        help_text = "Actions that this instance began, by the rule that asked for them."
        family = CounterMetricFamily("quorate_autopilot_actions_total", help_text, labels=("action", "result"))
        for (rule, result), count in sorted(self._actions.items()):
            family.add_metric((rule, result), count)
        return family

    def _timed(self) -> HistogramMetricFamily:
        help_text = "From the removal's first check to the standby's vote."
        family = HistogramMetricFamily("quorate_autopilot_replacement_duration_seconds", help_text)
        taken = list(self._durations)
        buckets = [(str(limit), float(sum(one <= limit for one in taken))) for limit in _BUCKETS]
        family.add_metric((), [*buckets, ("+Inf", float(len(taken)))], sum_value=sum(taken))
        return family

    def _lags(self, view: ClusterView) -> GaugeMetricFamily:
        seen = list(self._indices)
        rows: list[tuple[tuple[str, ...], float]] = []
        for member, status in _answering(view):
            # When the leader first had an entry that this member has not applied.
            since = next((at for at, index in seen if index > status.applied_index), view.taken_at)
            rows.append((_labels(member), max(0.0, view.taken_at - since)))
        return _one("quorate_member_lag_seconds", "Age of the oldest entry not yet applied, up to ten minutes.", _MEMBER, *rows)


def _of_decision(decided: Round) -> _Gauges:
    found = decided.next
    kind = "page" if isinstance(found, Page) else "wait" if isinstance(found, Wait) else "act"
    blocked: list[str] = [found.rule] if kind == "page" or found.rule in _FORBIDS else []
    blocked += [rule for rule in _pages(decided) if rule not in blocked]
    yield _one("quorate_autopilot_leader", "Whether this instance acts.", (), ((), float(decided.acts)))
    if decided.orders is not None:
        paused = float(found.rule == "paused")
        yield _one("quorate_autopilot_paused", "Whether an operator paused it.", (), ((), paused))
    states = [((state,), float(state == kind)) for state in ("wait", "act", "page")]
    yield _one("quorate_autopilot_state", "What was decided: page means that somebody has to look.", ("state",), *states)
    rows = [((rule,), 1.0) for rule in blocked]
    yield _one("quorate_autopilot_blocked", "The rules that forbid or need an operator.", ("rule",), *rows)
    waiting = [((name,), 1.0) for name in decided.memory.waiting]
    yield _one("quorate_join_waiting_for_seat", "Joins that wait for a learner seat.", ("name",), *waiting)


def _pages(decided: Round) -> list[str]:
    """Returns every rule that calls somebody, also where another one is what was decided: an alert must not end because things
    have become worse."""
    if decided.view is None or decided.policy is None or decided.orders is None or decided.orders.troubles:
        return []
    verdicts = explained(decided.view, decided.policy, decided.memory, decided.view.taken_at)
    return [found.rule for _, found in verdicts if isinstance(found, Page)]


def _of_cluster(decided: Round, view: ClusterView) -> _Gauges:
    margin, standbys = margin_of(view), decided.memory.standbys
    ready = sum(1 for one in view.learners if one.id in standbys and view.answer(one.id) is not None)
    yield _one("quorate_cluster_margin_members", "How many voters may still fail; below 0 no quorum.", (), ((), float(margin)))
    # Without a quorum no standby gets a vote.
    reached = margin + ready if margin >= 0 else margin
    optimistic = "The margin once the standbys that answer have taken the places of voters that fail one after the other."
    yield _one("quorate_cluster_optimistic_margin_members", optimistic, (), ((), float(reached)))
    roles = Counter(_role(decided, one) for one in view.members)
    # Which learners are standbys is kept in etcd.
    known = ("voter", "standby", "learner") if decided.orders is not None else ("voter",)
    rows = [((role,), float(roles[role])) for role in known]
    yield _one("quorate_members", "Members that are listed.", ("role",), *rows)
    policy = decided.policy
    if policy is None:
        return
    wanted = [(("voter",), float(policy.voters)), (("standby",), float(policy.standbys))]
    yield _one("quorate_members_wanted", "Members that the policy asks for.", ("role",), *wanted)
    zones = Counter(policy.zone_of(one.name) for one in view.voters)
    rows = [((zone,), float(count)) for zone, count in sorted(zones.items())]
    yield _one("quorate_zone_voters", "Voters in each zone of the policy.", ("zone",), *rows)


def _of_members(decided: Round, view: ClusterView) -> _Gauges:
    silent = decided.silent_seconds()
    up = [(_labels(one), float(view.answer(one.id) is not None)) for one in view.members]
    yield _one("quorate_member_up", "Whether the member answered the last look.", _MEMBER, *up)
    quiet = [(_labels(one), round(silent.get(one.id, 0.0), 1)) for one in view.voters]
    yield _one("quorate_member_unreachable_seconds", "Time without a sign of life, towards anybody.", _MEMBER, *quiet)
    lags = [(_labels(one), float(lag_of(view, one))) for one, _ in _answering(view)]
    yield _one("quorate_member_lag_entries", "Entries that the member has not applied.", _MEMBER, *lags)
    infos = [((*_labels(one), *_known(decided, view, one)), 1.0) for one in view.members]
    yield _one("quorate_member_info", "What is known of the member.", (*_MEMBER, "zone", "role", "version"), *infos)


def _answering(view: ClusterView) -> Iterator[tuple[Member, MemberStatus]]:
    for member in view.members:
        status = view.answer(member.id)
        if status is not None:
            yield member, status


def _known(decided: Round, view: ClusterView, member: Member) -> tuple[str, str, str]:
    status = view.answer(member.id)
    zone = decided.policy.zone_of(member.name) if decided.policy is not None else ""
    return zone, _role(decided, member), status.version if status is not None else ""


def _role(decided: Round, member: Member) -> str:
    if not member.is_learner:
        return "voter"
    return "standby" if member.id in decided.memory.standbys else "learner"


def _labels(member: Member) -> tuple[str, str]:
    return format_id(member.id), visible(member.name)[:_MOST_NAME]


def _one(name: str, text: str, labels: tuple[str, ...], *rows: tuple[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family
