"""Joins of members to a local cluster by the engine; what an interrupted join needs to resume is kept on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from quorate.core import versions
from quorate.core.finding import Finding, errors_of
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, margin_of
from quorate.core.outcome import as_dict
from quorate.core.view_findings import findings_of_cluster, judge
from quorate.deadline import Deadline, poll
from quorate.errors import QuorateError, Refused, having_done
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership.join import Join
from quorate.etcd.membership.join_state import JoinPolicy, JoinResult, limits_of
from quorate.etcd.membership.runtime import JoinSpec
from quorate.files import remove_file
from quorate.host import etcd_binary, ports
from quorate.host.member_data import settle
from quorate.local import certificates, replacement
from quorate.local.home import Home
from quorate.local.layout import check_name, check_root
from quorate.local.state import LocalMember


def grow_by(home: Home, names: Sequence[str], etcd: str | None) -> list[JoinResult]:
    """Joins members of these names: in parallel when every member allows several learners, else one after the other."""
    joiners = [prepare(home, name, etcd) for name in names]
    batches = [joiners] if home.load().max_learners > 1 else [[joiner] for joiner in joiners]
    joined: list[JoinResult] = []
    try:
        for batch in filter(None, batches):
            joined += run_join(home, batch, _policy(home))
    except QuorateError as error:
        raise having_joined(error, joined) from error
    return joined


def having_joined(error: QuorateError, joined: Sequence[JoinResult]) -> QuorateError:
    """Returns the error of a run that had joined members before it: the error itself is about a later step."""
    if not joined:
        return error
    error.outcomes = (*map(as_dict, joined), *error.outcomes)
    return having_done(error, "; ".join(f"{one.name} has joined" for one in joined))


def _policy(home: Home) -> JoinPolicy:
    return JoinPolicy(home.stall_seconds, home.load().max_learners)


def add_standby(home: Home, name: str, etcd: str | None) -> JoinResult:
    """Adds a learner that has all data and no vote. It stays saved as joining until it is marked: else a run that was
    killed before the mark could not be continued."""
    joiner = prepare(home, name, etcd)
    return run_join(home, [joiner], replace(_policy(home), ends_as="standby"))[0]


def refuse_unfit(home: Home) -> None:
    """Raises `PreflightFailed` where no member can join this cluster now: one that takes no writes would get the learner and
    refuse the rest of its join. During an election nobody tells which alarms there are: a voter was removed before its
    replacement was refused."""

    def known() -> ClusterView | None:
        view = home.status()
        return view if view.alarms_known else None

    view = poll(known, home.clock, Deadline(home.clock, _ALARM_SECONDS, "a leader tells which alarms there are"), every=0.1)
    if view is not None:
        judge(errors_of(findings_of_cluster(view)), home.report)
    elif margin_of(home.status()) >= 0:
        judge([_UNKNOWN_ALARMS], home.report)
    # Without a quorum each step that follows is refused, and says what is missing.


_ALARM_SECONDS = 5.0
"""Longer than an election takes."""
_UNKNOWN_ALARMS = Finding(
    "alarms-unknown",
    "error",
    "no leader tells which alarms there are: one that takes no writes would refuse the join halfway",
    "see who leads: quorate etcd status; then run the same command again",
)


def prepare(home: Home, name: str, etcd: str | None) -> LocalMember:
    """Returns the saved joiner of that name, or a new one with free ports, saved before anything else happens."""
    check_root(home.layout.root)
    saved = home.load()
    member = next((member for member in saved.members if member.name == name), None)
    if member is None:
        program = str(home.program(etcd).path) if etcd else saved.members[0].etcd
        _refuse_other_limit(home, program)
        peer_port, client_port = ports.reserve(2, home.layout.lock)
        member = LocalMember(check_name(name), peer_port, client_port, program, "joining")
        home.save(saved.with_member(member))
    certificates.ensure_member_certificates(home.layout, name)
    return member


def _refuse_other_limit(home: Home, program: str) -> None:
    """Raises `Refused` for an etcd without --max-learners: it allows only 1, and would disagree with the other members."""
    version = etcd_binary.read_version(Path(program))
    if home.load().max_learners > 1 and not versions.has_max_learners(version):
        raise Refused(
            f"etcd {version} cannot join: this cluster's members allow several learners, which it does not support",
            state="nothing was changed",
            advice="join with etcd 3.6 or newer",
        )


def run_join(home: Home, joiners: Sequence[LocalMember], policy: JoinPolicy) -> list[JoinResult]:
    """Runs the engine for joiners that are saved already."""
    for joiner in joiners:
        _forget_ended_process(home, joiner.name)
        if home.daemon(joiner.name).identity() is None:
            settle(home.layout.member(joiner.name).data)
    try:
        with home.access() as access, home.journal() as note:
            pairs = [(spec_of(home, joiner), home.runtime(joiner.name)) for joiner in joiners]
            limits = limits_of(policy, home.observe(access).cluster_id)
            remember = partial(_remember, home)
            return Join(access, home.clock, home.seeds(), pairs, limits, policy, home.report, note, remember).run()
    finally:
        _settle(home, joiners)


def spec_of(home: Home, joiner: LocalMember) -> JoinSpec:
    return JoinSpec(joiner.name, joiner.peer_url, joiner.client, certificates.peer_tls(home.layout, joiner.name), joiner.memory)


def _forget_ended_process(home: Home, name: str) -> None:
    """Forgets the ended process of an earlier run, so that it is started again and not counted as a failure of this run."""
    if home.daemon(name).identity() is None:
        remove_file(home.layout.member(name).process)


def _remember(home: Home, name: str, memory: JoinMemory) -> None:
    """Saves in the state what the next run must know about an interrupted join."""
    saved = home.load()
    home.save(saved.with_member(saved.member(name).remembering(memory)))
    replacement.joined(home, name, memory.member_id)


def _settle(home: Home, joiners: Iterable[LocalMember]) -> None:
    """Updates the saved phases: voters become members, wiped joiners are deleted."""
    with home.clock.cancel.shielded():
        voters = _voters_if_known(home)
        saved = home.load()
        for joiner in joiners:
            if joiner.peer_url in voters:
                saved = saved.with_member(replace(saved.member(joiner.name), phase="member"))
            elif not home.runtime(joiner.name).has_leftovers():
                saved = saved.without(joiner.name)
        home.save(saved)


def _voters_if_known(home: Home) -> set[str]:
    try:
        return {url for voter in home.look().voters for url in voter.peer_urls}
    except EtcdError:
        # Unknown now. The next run looks again; until then a joiner does not count as a member.
        return set()
