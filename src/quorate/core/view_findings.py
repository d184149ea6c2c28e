"""Findings from a view before the first change; pure. An `error` stops the join, a `warning` is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from quorate.core import versions
from quorate.core.finding import Finding, errors_first, errors_of
from quorate.core.membership import ClusterView, MemberStatus, margin_of, silent_voters
from quorate.core.new_member import new_member_findings
from quorate.core.versions import Version
from quorate.errors import PreflightFailed
from quorate.report import Notice, Report

_QUOTA_SHARE = 0.9


def findings(view: ClusterView, name: str, peer_urls: Sequence[str]) -> list[Finding]:
    """Returns all findings about adding `name` at `peer_urls`, errors first."""
    return errors_first(findings_of_cluster(view) + new_member_findings(view, name, peer_urls))


def findings_of_cluster(view: ClusterView) -> list[Finding]:
    """Returns the findings about the cluster itself: those that hold for any new member."""
    return [finding for check in CHECKS for finding in check(view)]


def check_alarms(view: ClusterView) -> Iterator[Finding]:
    """Reports alarms. A cluster with an alarm takes no writes, or must not: a join would fail halfway, or copy damage."""
    for alarm in view.alarms:
        member = view.by_id(alarm.member_id)
        name = member.name if member else f"{alarm.member_id:x}"
        advice = (
            "compact, defragment and disarm the alarm: etcdctl compaction REVISION, etcdctl defrag, etcdctl alarm disarm"
            if alarm.kind == "NOSPACE"
            else "replace that member from its healthy peers; never disarm CORRUPT just to continue"
        )
        yield Finding(f"alarm-{alarm.kind.lower()}", "error", f"{name} has raised the alarm {alarm.kind}", advice)


def check_versions(view: ClusterView) -> Iterator[Finding]:
    answers = [reply for reply in view.replies.values() if isinstance(reply, MemberStatus)]
    found = sorted({Version.told(answer.version) for answer in answers})
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


def check_voters(view: ClusterView) -> Iterator[Finding]:
    """Reports voters that do not answer. They do not block the join: it may be the repair."""
    dead = silent_voters(view)
    if dead:
        left = margin_of(view)
        text = f"no answer from {', '.join(dead)}; {f'{left} more may fail' if left >= 0 else 'there is no quorum'}"
        way = (
            "restart them, or remove them if they are dead"
            if left >= 0
            else "start them: without a quorum nothing can be changed"
        )
        yield Finding("dead-voters", "warning", text, way)


def check_quota(view: ClusterView) -> Iterator[Finding]:
    for member in view.members:
        answer = view.answer(member.id)
        if answer and answer.db_quota and answer.db_size > _QUOTA_SHARE * answer.db_quota:
            text = f"the database of {member.name} fills {answer.db_size / answer.db_quota:.0%} of its quota"
            yield Finding("quota", "warning", text, "compact and defragment before it raises NOSPACE")


CHECKS: tuple[Callable[[ClusterView], Iterator[Finding]], ...] = (
    check_alarms,
    check_versions,
    check_voters,
    check_quota,
)


def judge(found: Sequence[Finding], report: Report) -> None:
    """Reports the warnings; raises `PreflightFailed` for errors, which would make a join fail or do harm."""
    for finding in found:
        if finding.level == "warning":
            report(Notice(f"{finding.text}{f' ({finding.advice})' if finding.advice else ''}", "warning"))
    errors = errors_of(found)
    if errors:
        raise PreflightFailed(
            "; ".join(finding.text for finding in errors),
            state="nothing was changed",
            advice="; ".join(dict.fromkeys(finding.advice for finding in errors if finding.advice)),
            findings=[finding.as_dict() for finding in found],
        )
