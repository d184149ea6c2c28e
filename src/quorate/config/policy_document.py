"""The policy of an autopilot as people write it, in YAML or JSON, and as it is kept in etcd."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

import msgspec

from quorate.config.duration import Duration
from quorate.core.autopilot.policy import Policy
from quorate.errors import ConfigError
from quorate.foreign.documents import RECORD, read_mapping

_NANO = 10**9


_Time: TypeAlias = str | int | float
"""A duration such as 10m, or seconds."""


# Unknown fields are errors: a misspelled one would be taken to have worked.
class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    per: _Time = "30m"
    day: int = 3


class ReplaceDead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    after: _Time = "10m"
    budget: Budget = Budget()
    brake: int = 2


class PolicyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """As `Policy`; durations as `10m` or in seconds. Without `replace_dead` no voter is replaced."""

    voters: int = 3
    standbys: int = 0
    promote: Literal["owned", "any"] = "owned"
    aligned_for: _Time = "10s"
    replace_dead: ReplaceDead | None = None
    zones: dict[str, str] = {}


def read_policy(content: bytes, where: str, learner_seats: int | None = None) -> Policy:
    """Returns the policy of a document. `where`: its place, for messages; `learner_seats`: as in `Policy.problems`. Raises
    `ConfigError` that names everything that is wrong with it."""
    fields = read_mapping(content, where, RECORD)
    try:
        document = msgspec.convert(fields, PolicyDocument)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}", advice="'quorate autopilot policy get' prints one that is right") from None
    policy = policy_of(document, where)
    problems = policy.problems(learner_seats)
    if problems:
        raise ConfigError(f"{where}: {'; '.join(problems)}", advice="correct what is named")
    return policy


def policy_of(document: PolicyDocument, where: str) -> Policy:
    """Returns the policy, not judged. Raises `ConfigError` for what is no duration."""
    policy = Policy(
        document.voters,
        document.standbys,
        document.promote,
        _seconds(document.aligned_for, f"{where}: alignedFor"),
        after=None,
        zones=tuple(sorted(document.zones.items())),
    )
    dead = document.replace_dead
    if dead is None:
        return policy
    return replace(
        policy,
        after=_seconds(dead.after, f"{where}: replaceDead.after"),
        per=_seconds(dead.budget.per, f"{where}: replaceDead.budget.per"),
        day=dead.budget.day,
        brake=dead.brake,
    )


def _seconds(value: _Time, where: str) -> float:
    if isinstance(value, str):
        try:
            return Duration.parse(value).seconds
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
    return float(value)


def document_of(policy: Policy) -> dict[str, object]:
    """Returns the policy as a document, with each field."""
    made: dict[str, object] = {
        "voters": policy.voters,
        "standbys": policy.standbys,
        "promote": policy.promote,
        "alignedFor": _duration(policy.aligned_for),
    }
    if policy.after is not None:
        made["replaceDead"] = {
            "after": _duration(policy.after),
            "budget": {"per": _duration(policy.per), "day": policy.day},
            "brake": policy.brake,
        }
    return {**made, "zones": dict(policy.zones)}


def _duration(seconds: float) -> str:
    return str(Duration(round(seconds * _NANO)))
