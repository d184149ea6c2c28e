"""The only look at a cluster: all endpoints of all members are asked in parallel, and an answer counts by how it was read."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial

from quorate.core.ids import format_id, same_url
from quorate.core.membership import ClusterView, Member, MemberStatus, NoResponse, StatusResult
from quorate.core.versions import Version
from quorate.deadline import Clock, Deadline, SystemClock, wait_until, waiting_until
from quorate.errors import ConfigError, Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, NoAnswer, Unavailable, Unreachable
from quorate.etcd.client.routes import Routes
from quorate.etcd.observation.reads import MemberList, local_list, quorum_list
from quorate.etcd.observation.statuses import Statuses

_AGAIN_SECONDS = 0.05
_WAIT_SECONDS = 10.0
_MOST_PATIENCE = 3.0
"""Seconds. Members half a second away answer a Status within two. Farther away no proof holds, so no look waits longer."""
_FLAG_SINCE = Version(3, 5, 0)


class TwoClusters(Refused):
    """The given endpoints lead to two clusters, or to another cluster than at the start of the run. `strangers`: those where
    another one answers."""

    code = "two-clusters"
    next_step = "give endpoints of one cluster"
    strangers: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class LookTimeouts:
    """Seconds to wait in one look: for a list that is read through the quorum, for a status, and for the status of a learner,
    whose client port accepts connections long before etcd answers there. An endpoint that was slow before gets more."""

    members: float = 5.0
    status: float = 2.0
    learner: float | None = None


NO_ENDPOINTS: Mapping[str, Endpoint] = {}


def observe(
    access: Access,
    seeds: Sequence[Endpoint],
    clock: Clock,
    *,
    patience: LookTimeouts = LookTimeouts(),
    unpublished: Mapping[str, Endpoint] = NO_ENDPOINTS,
    unasked: Container[int] = (),
) -> ClusterView:
    """Returns one look at the cluster that `seeds` lead to.

    The look asks all seeds, every client URL of every member, and every endpoint that led to a member before: for a status
    and, on voters, for a list read through the quorum. All are asked in parallel, so silent ones cost one timeout together.
    `unpublished` maps peer URLs to client endpoints of members that have not published their client URLs yet.
    `unasked` are ids of members about to be removed: a Status in flight while a member applies its own removal makes it
    panic (etcd issue 21966).

    Raises `TwoClusters`; raises the most informative `EtcdError` when no member gives even its own list.
    """
    return _Look(access, seeds, clock, patience, unpublished, unasked).take()


@dataclass(slots=True)
class _Look:
    """One look in progress. An answer belongs to the member that gave it, whatever endpoint was asked."""

    access: Access
    seeds: Sequence[Endpoint]
    clock: Clock
    patience: LookTimeouts
    unpublished: Mapping[str, Endpoint]
    unasked: Container[int]
    asked: dict[Endpoint, Future[MemberList]] = field(default_factory=dict["Endpoint", "Future[MemberList]"])
    statuses: Statuses = field(init=False)
    warnings: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.statuses = Statuses(self.access, self.clock)

    def take(self) -> ClusterView:
        taken_at = self.clock.now()
        routes, with_files = self.access.routes, self.access.tls is not None
        routes.secure = routes.secure or any(seed.tls == "on" or (seed.tls == "auto" and with_files) for seed in self.seeds)
        self._ask([*self.seeds, *self.access.routes.known(), *self.unpublished.values()])
        self._wait()
        self._refuse_two_clusters()
        listed = self._list()
        unasked_yet = self._learn(listed)
        if unasked_yet:
            self._ask(unasked_yet)
            self._wait()
            self._refuse_two_clusters()
        answers, reasons = self.statuses.answers(), self.statuses.reasons()
        replies = {member.id: self._reply(member, answers, reasons) for member in listed.members}
        view = ClusterView(
            cluster_id=listed.cluster_id,
            members=listed.members,
            replies=replies,
            taken_at=taken_at,
            linearizable=listed.linearizable,
            warnings=tuple(dict.fromkeys(self.warnings)),
            read_by=frozenset(one.member_id for one in self._lists() if one.linearizable),
        )
        self.access.routes.leader_id = view.leader.id if view.leader else 0
        return view

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self, endpoints: Sequence[Endpoint]) -> None:
        """Asks both questions at every endpoint that was not asked yet, except at those of `unasked` members."""
        routes = self.access.routes
        for endpoint in dict.fromkeys(endpoints):
            if endpoint in self.statuses.asked or routes.member_at(endpoint) in self.unasked:
                continue
            # A member that still owes the last answer gets no further question.
            stuck = self.statuses.ask(endpoint)
            told = endpoint in self.unpublished.values() and endpoint not in self.seeds
            unknown_joiner = told and not routes.member_at(endpoint)
            if not (stuck or unknown_joiner or routes.is_learner(endpoint)):
                self._ask_list(endpoint, routes.version_at(endpoint))

    def _ask_list(self, endpoint: Endpoint, version: Version | None) -> None:
        ask = partial(quorum_list, timeout=self.patience.members, version=version)
        self.asked[endpoint] = self.access.submit(ask, endpoint)

    def _wait(self) -> None:
        """Waits until all answered or time is up; longer only while no list has been read through the quorum."""
        until = Deadline(self.clock, self._seconds(), "the members answer")
        self.statuses.wait(until, self.patience.learner, self.unpublished.values())
        self._ask_old_versions_again()
        wait(self.asked.values(), timeout=until.remaining)
        if self._ask_old_versions_again():
            wait(self.asked.values(), timeout=until.remaining)
        if not any(one.linearizable for one in self._lists()):
            until = Deadline(self.clock, self.patience.members, "a list is read through the quorum")
            with waiting_until(self.clock, until.goal):
                self._insist(until)

    def _seconds(self) -> float:
        """Returns the seconds to wait. An endpoint that is known to be slow gets more: a round trip of 200 ms is no silence."""
        slowest = max(map(self.access.routes.seconds_at, self.statuses.asked), default=0.0)
        return max(self.patience.status, min(4 * slowest, _MOST_PATIENCE))

    def _ask_old_versions_again(self) -> bool:
        """Asks 3.4 members again that were asked with the flag, which they ignore; returns whether there was one."""
        again = False
        for endpoint, answer in self.statuses.answers().items():
            if endpoint in self.asked and Version.told(answer.version) < _FLAG_SINCE:
                done = self.asked[endpoint]
                if done.done() and not done.exception() and done.result().how == "flag":
                    self._ask_list(endpoint, Version.told(answer.version))
                    again = True
        return again

    def _insist(self, deadline: Deadline) -> None:
        """Waits and asks again, while the cluster is there but has no leader: an election takes a second or two."""
        while not any(one.linearizable for one in self._lists()) and not deadline.expired:
            failed = {endpoint: future.exception() for endpoint, future in self.asked.items() if future.done()}
            if all(future.done() for future in self.asked.values()):
                again = [endpoint for endpoint, error in failed.items() if isinstance(error, Unavailable | NoAnswer)]
                if not again and not self._ask_old_versions_again():
                    return
                self.clock.sleep(_AGAIN_SECONDS)
                for endpoint in again:
                    self._ask_list(endpoint, self.access.routes.version_at(endpoint))
            wait(self.asked.values(), timeout=min(0.1, deadline.remaining))
            self._ask_old_versions_again()

    # -- what counts -----------------------------------------------------------------------------------------------------

    def _lists(self) -> list[MemberList]:
        """Returns the lists that came from the cluster of this run, the leader's first."""
        found = [future.result() for future in self.asked.values() if future.done() and not future.exception()]
        ours = self.access.routes.cluster_id or next((one.cluster_id for one in found), 0)
        kept = [self._as_read(endpoint, future.result()) for endpoint, future in self.asked.items() if _answered(future)]
        leader = self.access.routes.leader_id
        return sorted((one for one in kept if one.cluster_id == ours), key=lambda one: one.member_id != leader)

    def _as_read(self, endpoint: Endpoint, one: MemberList) -> MemberList:
        """Returns the list as it counts: the flag counts only where a Status of this look shows that the server honours it."""
        answer = self.statuses.answers().get(endpoint)
        if one.how != "flag":
            return one
        follows = answer is not None and answer.member_id == one.member_id and Version.told(answer.version) >= _FLAG_SINCE
        return one if follows else MemberList(one.cluster_id, one.member_id, one.raft_term, one.members, "local")

    def _list(self) -> MemberList:
        """Returns a list read through the quorum; without one, the own copy of the member that has applied most."""
        lists = self._lists()
        good = next((one for one in lists if one.linearizable), None)
        if good is not None:
            return good
        own = [*lists, *self._local_lists()]
        applied = {answer.member_id: answer.applied_index for answer in self.statuses.answers().values()}
        if own:
            return max(own, key=lambda one: applied.get(one.member_id, 0))
        raise self._failure()

    def _local_lists(self) -> list[MemberList]:
        ours = self.access.routes.cluster_id
        places = [place for place, answer in self.statuses.answers().items() if not answer.is_learner]
        asked = self.access.ask_all(partial(local_list, timeout=self.patience.status), places)
        wait(asked, timeout=self.patience.status)
        return [future.result() for future in asked if _answered(future) and future.result().cluster_id == ours]

    def _failure(self) -> EtcdError:
        """Returns the most informative error: one that etcd sent shows that the cluster is there, silence does not."""
        errors = [future.exception() for future in self.asked.values() if future.done()]
        known = [error for error in [*errors, *self.statuses.errors().values()] if isinstance(error, EtcdError)]
        known.sort(key=lambda error: (isinstance(error, Unreachable), isinstance(error, NoAnswer)))
        return known[0] if known else NoAnswer("no answer in time")

    def _refuse_two_clusters(self) -> None:
        """Raises `TwoClusters` when the seeds, which the operator named, lead to two clusters, whichever answers first. At an
        endpoint that a member only advertises, an answer of another cluster is dropped with a warning."""
        ours = self.access.routes.cluster_id
        found = {place: answer.cluster_id for place, answer in self.statuses.answers().items()}
        found |= {place: future.result().cluster_id for place, future in self.asked.items() if _answered(future)}
        seeds = {place: found[place] for place in self.seeds if place in found}
        if not ours and seeds:
            ours = next(iter(seeds.values()))
        strangers = [place for place, cluster_id in seeds.items() if cluster_id != ours]
        if strangers:
            known = next((place for place, cluster_id in seeds.items() if cluster_id == ours), None)
            ourselves = f"{known} for {format_id(ours)}" if known else f"this run began on {format_id(ours)}"
            error = TwoClusters(
                f"the endpoints lead to two clusters: {strangers[0]} answers for {format_id(seeds[strangers[0]])}, {ourselves}",
                state="nothing was changed",
                advice="name endpoints of one cluster only",
            )
            error.strangers = tuple(strangers)
            raise error
        self.access.routes.cluster_id = ours or next(iter(found.values()), 0)
        for place, cluster_id in found.items():
            if cluster_id != self.access.routes.cluster_id:
                self.access.routes.disown(place)
                self.statuses.drop(place, f"another cluster ({format_id(cluster_id)}) answers there")
                self.asked.pop(place, None)
                self.warnings.append(f"{place} is advertised by a member, but answers for cluster {format_id(cluster_id)}")

    def _learn(self, listed: MemberList) -> list[Endpoint]:
        """Remembers every endpoint of every listed member; returns those not asked yet."""
        routes = self.access.routes
        if listed.linearizable:
            routes.keep_only({member.id for member in listed.members})
        for member in listed.members:
            for endpoint in _advertised(member, routes):
                routes.advertised(endpoint, member.id)
            if any(endpoint.tls == "off" for endpoint in _readable(member)) and routes.secure:
                self.warnings.append(
                    f"{member.name or format_id(member.id)} advertises http: it is not asked there without TLS"
                )
        # An endpoint where another cluster answered is asked again: the member may be back there.
        ways = [(member, [*routes.of(member.id), *_advertised(member, routes)]) for member in listed.members]
        found = [endpoint for member, endpoints in ways for endpoint in endpoints if member.id not in self.unasked]
        return [endpoint for endpoint in dict.fromkeys(found) if endpoint not in self.statuses.asked]

    def _reply(self, member: Member, answers: Mapping[Endpoint, MemberStatus], reasons: Mapping[Endpoint, str]) -> StatusResult:
        if member.id in self.unasked:
            return NoResponse("it was not asked, because it is about to be removed")
        own = [answer for answer in answers.values() if answer.member_id == member.id]
        if own:
            return max(own, key=lambda answer: answer.applied_index)
        ways = [*self.access.routes.of(member.id), *_advertised(member, self.access.routes), *_told(member, self.unpublished)]
        if not ways:
            return NoResponse("it has not published a client URL yet")
        other = next((answers[way].member_id for way in ways if way in answers), None)
        if other is not None:
            return NoResponse(f"another member ({format_id(other)}) answers at its client URL")
        return NoResponse(next((reasons[way] for way in ways if way in reasons), "no answer in time"))


def _answered(future: Future[MemberList]) -> bool:
    return future.done() and not future.exception()


_MOST_URLS = 8


def _advertised(member: Member, routes: Routes) -> list[Endpoint]:
    """Returns every client URL that can be used. An advertised http URL does not switch TLS off, because the user and password
    would be sent in clear text: a member advertises whatever was typed on its command line."""
    return [endpoint for endpoint in _readable(member) if not (routes.secure and endpoint.tls == "off")]


def _readable(member: Member) -> list[Endpoint]:
    found: list[Endpoint] = []
    # A member with forty URLs that answer nothing took all threads of a look.
    for url in member.client_urls[:_MOST_URLS]:
        try:
            found.append(Endpoint.parse(url))
        except ConfigError:
            continue
    return found


def _told(member: Member, unpublished: Mapping[str, Endpoint]) -> list[Endpoint]:
    return [where for url, where in unpublished.items() if any(same_url(url, own) for own in member.peer_urls)]


def endpoint_of(access: Access, member: Member) -> Endpoint | None:
    """Returns an endpoint where this member answered, else one that it advertises; None when there is none."""
    return next(iter([*access.routes.of(member.id), *_advertised(member, access.routes)]), None)


def wait_until_seen(
    holds: Callable[[ClusterView], bool],
    look: Callable[[], ClusterView],
    clock: SystemClock,
    goal: str,
    *,
    seconds: float = _WAIT_SECONDS,
) -> None:
    """Looks until the cluster is as `holds` says; a look that fails for now is no answer. Raises `DeadlineExceeded`."""

    def seen() -> bool:
        try:
            return holds(look())
        except EtcdError as error:
            if error.disposition == "final":
                raise
            return False

    wait_until(seen, clock=clock, deadline=Deadline(clock, seconds, goal), every=0.1)
