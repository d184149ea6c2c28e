"""What to know before the first change: findings from a view, pure. `error` stops the join, `warning` is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from quorate.core import versions
from quorate.core.ids import is_loopback
from quorate.core.membership import Answer, ClusterView, margin_of
from quorate.core.versions import Version

_QUOTA_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check; `name` is stable, for programs."""

    name: str
    level: Literal["error", "warning", "info"]
    text: str
    advice: str = ""


def findings(view: ClusterView, peer_url: str) -> list[Finding]:
    """Everything to be said before a member is added at `peer_url`, errors first."""
    found = [finding for check in CHECKS for finding in check(view, peer_url)]
    return sorted(found, key=lambda finding: finding.level != "error")


def check_alarms(view: ClusterView, _peer_url: str) -> Iterator[Finding]:
    """A cluster with an alarm takes no writes, or must not: a join would fail halfway, or copy damage."""
    for alarm in view.alarms:
        member = view.by_id(alarm.member_id)
        name = member.name if member else f"{alarm.member_id:x}"
        advice = (
            "compact, defragment, then disarm the alarm"
            if alarm.kind == "NOSPACE"
            else "replace that member from its healthy peers; never clear CORRUPT to get on"
        )
        yield Finding(f"alarm-{alarm.kind.lower()}", "error", f"{name} has raised the alarm {alarm.kind}", advice)


def check_loopback(view: ClusterView, peer_url: str) -> Iterator[Finding]:
    """A member at 127.0.0.1 cannot be reached from other machines; one such voter stops a cluster of one (k0s 7628)."""
    urls = [url for member in view.members for url in member.peer_urls]
    if is_loopback(peer_url) and not all(map(is_loopback, urls)):
        yield Finding("loopback-new", "error", f"{peer_url} names this machine itself, the other members are elsewhere")
    if not is_loopback(peer_url):
        for url in filter(is_loopback, urls):
            advice = "give that member a peer URL that others can reach first (etcdctl member update)"
            yield Finding("loopback-old", "error", f"a member's peer URL is {url}: the new one could not reach it", advice)


def check_versions(view: ClusterView, _peer_url: str) -> Iterator[Finding]:
    answers = [reply for reply in view.replies.values() if isinstance(reply, Answer)]
    found = sorted({Version.parse(answer.version) for answer in answers})
    if len({version.series for version in found}) > 1:
        text = f"members run {' and '.join(map(str, found))}: an upgrade is under way"
        yield Finding("mixed-versions", "warning", text, "finish it first, or add a member of the older series")
    for version in found:
        if versions.can_lose_data(version):
            yield Finding(
                "unsound-version", "error", f"etcd {version} can lose data when a member crashes", "upgrade to 3.5.3+"
            )
        elif versions.upgrade_advice(version):
            yield Finding("old-version", "warning", f"etcd {version}: {versions.upgrade_advice(version)}")


def check_voters(view: ClusterView, _peer_url: str) -> Iterator[Finding]:
    """A dead minority is named and does not block: a repair may be what this is."""
    dead = [voter.name or f"{voter.id:x}" for voter in view.voters if view.answer(voter.id) is None]
    if dead:
        text = f"{', '.join(dead)} does not answer; {margin_of(view)} more may fail"
        yield Finding("dead-voters", "warning", text, "remove or restart what is dead first, where that is possible")


def check_quota(view: ClusterView, _peer_url: str) -> Iterator[Finding]:
    for member in view.members:
        answer = view.answer(member.id)
        if answer and answer.db_quota and answer.db_size > _QUOTA_SHARE * answer.db_quota:
            text = f"the database of {member.name} fills {answer.db_size / answer.db_quota:.0%} of its quota"
            yield Finding("quota", "warning", text, "compact and defragment before it raises NOSPACE")


CHECKS: tuple[Callable[[ClusterView, str], Iterator[Finding]], ...] = (
    check_alarms,
    check_loopback,
    check_versions,
    check_voters,
    check_quota,
)
