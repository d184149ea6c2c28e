"""Whether a policy fits the cluster of now: which members it names, and how many there are and can be."""

from __future__ import annotations

from quorate.core.autopilot.policy import Flaw, Policy
from quorate.core.membership import ClusterView
from quorate.core.suggestions import close_names, did_you_mean
from quorate.core.versions import Version

_SEATS_CHOSEN_SINCE = Version(3, 6, 0)
"""--max-learners: before it there is one learner seat, and from then on the flag of each member, which none reports."""


def misfits(policy: Policy, view: ClusterView, known: Policy | None = None) -> list[Flaw]:
    """Returns what cannot hold in this cluster. `known`: the policy of now. Its zones may name a voter that was replaced since:
    the policy as it is printed, with another field changed, must not be refused for that."""
    names, of_now = _names(view), dict(known.zones if known is not None else ())
    unknown = [(name, zone) for name, zone in policy.zones if name not in names and of_now.get(name) != zone]
    found = [Flaw(f"zones.{name}", _no_member(name, names)) for name, _ in unknown]
    if policy.standbys > 1 and _one_seat(view):
        text = f"{policy.standbys} are more than one, and etcd before 3.6 has one learner seat"
        found.append(Flaw("standbys", text))
    return found


def _names(view: ClusterView) -> list[str]:
    return [one.name for one in view.members if one.name]


def _no_member(name: str, names: list[str]) -> str:
    question = did_you_mean(close_names(name, names)[:1])
    return f"no member has that name: {question or ', '.join(sorted(names))}"


def cautions(policy: Policy, view: ClusterView) -> list[str]:
    """Returns what may not be meant, each with its path."""
    names = _names(view)
    found = [f"zones.{name}: no member has that name now" for name, _ in policy.zones if name not in names]
    voters = len(view.voters)
    if policy.voters < voters:
        found.append(f"voters: {policy.voters} are fewer than the {voters} of now: none is removed")
    if policy.voters > voters:
        more = f"voters: {policy.voters} are more than the {voters} of now"
        who = ", ".join(one.name or "a learner that was not started" for one in view.learners)
        found.append(
            f"{more}: {who} may get a vote at once, a standby too" if who else f"{more}, and no learner is there to be promoted"
        )
    if policy.after is None:
        found.append("replaceDead: left out, so no dead voter is replaced; write 'replaceDead: {after: 10m}' to replace it")
    if policy.standbys > 1 and not _one_seat(view):
        least = f"--max-learners of {policy.standbys} or more"
        found.append(f"standbys: {policy.standbys} need {least} on every member, which cannot be seen from here")
    return found


def _one_seat(view: ClusterView) -> bool:
    answers = [view.answer(one.id) for one in view.voters]
    return any(Version.told(one.version) < _SEATS_CHOSEN_SINCE for one in answers if one is not None)
