"""The policy of an autopilot as people write it, in YAML or JSON, and as it is kept in etcd."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, get_args

from quorate.config.duration import Duration, Seconds
from quorate.config.problems import InvalidConfig, Problem, Problems
from quorate.config.schema import Value, decode
from quorate.core.autopilot.policy import Flaw, Policy, Promotion
from quorate.core.suggestions import close_names, did_you_mean
from quorate.foreign import documents
from quorate.foreign.documents import RECORD, BadDocument, Leaf, Mapping, Node, Sequence

_NANO = 10**9
_PROMOTIONS: tuple[Promotion, ...] = get_args(Promotion)


class Budget(Value, frozen=True):
    per: Seconds = Seconds(30 * 60 * _NANO)
    day: int = 3


class ReplaceDead(Value, frozen=True):
    after: Seconds = Seconds(10 * 60 * _NANO)
    budget: Budget = Budget()
    brake: int = 2


class PolicyDocument(Value, frozen=True):
    """As `Policy`; durations as `10m` or in seconds. Without `replace_dead` no voter is replaced."""

    voters: int = 3
    standbys: int = 0
    promote: str = "owned"
    aligned_for: Seconds = Seconds(10 * _NANO)
    replace_dead: ReplaceDead | None = None
    zones: dict[str, str] = {}


Changes: TypeAlias = tuple[tuple[str, str, str], ...]
"""The fields in which two policies differ: path, before, after; empty where one has no such field."""


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy that somebody wrote: its place, its tree with the lines of the fields, and what is wrong with it in any cluster.
    A field whose value is wrong has its default in `policy`."""

    policy: Policy
    where: str
    root: Mapping
    problems: tuple[Problem, ...] = ()

    def refuse(self, flaws: list[Flaw]) -> None:
        """Raises `InvalidConfig` that names every problem and every flaw by file, line and path, unless there is none."""
        _raise(self.where, [*self.problems, *_placed(flaws, self.root)])


def read_policy(content: bytes, where: str) -> PolicyText:
    """Returns the policy of a document, with everything that is wrong with it, which `refuse` raises. `where`: its place, for
    messages. Raises `BadDocument`."""
    problems = Problems(where)
    nodes = documents.read_nodes(content, where, problems.add, RECORD)
    if not nodes or (isinstance(nodes[0], Leaf) and nodes[0].value is None):
        raise documents.empty(where)
    root = nodes[0]
    if len(nodes) != 1 or not isinstance(root, Mapping):
        raise BadDocument(f"{where} is not one mapping", advice="'quorate autopilot policy get' prints one that is right")
    policy = _policy_of(root, problems)
    wrong = {one.path for one in problems.found if not one.is_read}
    # A rule that the default of a wrong value breaks is no problem of its own.
    broken = [one for one in policy.problems() if one.path not in wrong]
    return PolicyText(policy, where, root, (*problems.found, *_placed(broken, root)))


def recorded_policy(fields: object, where: str) -> Policy:
    """Returns the policy of a record, judged as one of a file: who may write to etcd need not have asked this program. Raises
    `InvalidConfig`."""
    problems = Problems(where)
    policy = _policy_of(_node(fields), problems)
    problems.raise_if_any()
    for path, text in policy.problems():
        problems.add(path, text, 0)
    problems.raise_if_any()
    return policy


def _raise(where: str, problems: list[Problem]) -> None:
    if problems:
        raise InvalidConfig(where, sorted(problems, key=lambda one: one.line))


def _placed(flaws: list[Flaw], root: Mapping) -> list[Problem]:
    from quorate.config.resolve import line_of

    return [Problem(path, text, line_of(root, path)) for path, text in flaws]


def _policy_of(root: Node, problems: Problems) -> Policy:
    document = decode(_told(root), PolicyDocument, problems)
    promote = next((one for one in _PROMOTIONS if one == document.promote), None)
    if promote is None:
        _refuse_promotion(root, document.promote, problems)
    policy = Policy(
        document.voters,
        document.standbys,
        promote or "owned",
        document.aligned_for.seconds,
        after=None,
        zones=tuple(sorted(document.zones.items())),
    )
    dead = document.replace_dead
    if dead is None:
        return policy
    return replace(policy, after=dead.after.seconds, per=dead.budget.per.seconds, day=dead.budget.day, brake=dead.brake)


def _told(node: Node) -> Node:
    """Returns a tree without its empty fields: each of them has its default, and `alignedFor:` was no wait at all."""
    if not isinstance(node, Mapping):
        return node
    kept = [(key, one) for key, one in node.rows if not (isinstance(one, Leaf) and one.value is None)]
    return Mapping(tuple((key, _told(one)) for key, one in kept), node.line)


def _refuse_promotion(root: Node, given: str, problems: Problems) -> None:
    from quorate.config.resolve import line_of

    if any(one.path == "promote" and not one.is_read for one in problems.found):
        return
    question = did_you_mean(close_names(given, _PROMOTIONS)[:1])
    text = f"{given!r} is none of {', '.join(_PROMOTIONS)}{f'; {question}' if question else ''}"
    problems.add("promote", text, line_of(root if isinstance(root, Mapping) else None, "promote"))


def _node(value: object) -> Node:
    """Returns plain values as a tree, without lines."""
    if isinstance(value, dict):
        return Mapping(tuple((str(key), _node(inner)) for key, inner in value.items()), 0)
    if isinstance(value, list):
        return Sequence(tuple(map(_node, value)), 0)
    scalar = value if isinstance(value, str | int | float) else None
    return Leaf(scalar, "" if scalar is None else str(scalar), 0)


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


def changes(before: Policy, after: Policy) -> Changes:
    """Returns what a new policy changes, by the paths of the document."""
    old, new = flat_document(before), flat_document(after)
    paths = dict.fromkeys([*new, *old])
    return tuple((path, old.get(path, ""), new.get(path, "")) for path in paths if old.get(path) != new.get(path))


def flat_document(policy: Policy) -> dict[str, str]:
    """Returns the fields of the policy by their paths."""
    return _flat(document_of(policy))


def _flat(document: dict[str, object], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in document.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": str(value)}
    return found


def _duration(seconds: float) -> str:
    return str(Duration(round(seconds * _NANO)))
