"""The feature gates of Kubernetes' components in each minor, and what a component refuses of those that are given.

The table is `component_gates.json`, which engines/component_gates.py writes from the Go modules. It is one for all components:
each takes the gates of all. kubeadm's own gates are in `gates.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from quorate.config.versions import NEWEST, OLDEST
from quorate.core.suggestions import close_names, did_you_mean
from quorate.foreign.documents import read_object

_TABLE = Path(__file__).with_name("component_gates.json")
_MOST_ASKED = 20
_WHOLE_STAGES = {"ALPHA": "AllAlpha", "BETA": "AllBeta"}


class Gate(Struct, frozen=True):
    """A gate in the minors `since` to `until`. `is_locked`: it cannot be set to anything but its default. `stage`: ALPHA, BETA,
    DEPRECATED, or empty for one that is stable. `needs`: what must be on for it to be on."""

    is_on: bool
    is_locked: bool
    stage: str
    needs: tuple[str, ...]
    since: int
    until: int


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[Gate, ...]]:
    found: Any = read_object(_TABLE.read_bytes(), _TABLE.name)
    return {name: tuple(map(_gate, rows)) for name, rows in found.items()}


def _gate(row: dict[str, Any]) -> Gate:
    return Gate(
        bool(row["default"]),
        bool(row.get("locked")),
        str(row.get("stage", "")),
        tuple(row.get("needs", ())),
        int(row.get("since", OLDEST)),
        int(row.get("until", NEWEST)),
    )


@lru_cache(maxsize=16)
def gates_of(minor: int) -> dict[str, Gate]:
    """Returns the gates of a minor by name; those of the nearest known minor when it is outside the table."""
    at = min(max(minor, OLDEST), NEWEST)
    return {name: gate for name, rows in _table().items() for gate in rows if gate.since <= at <= gate.until}


class Gates(Struct, frozen=True):
    """The gates of a component of a minor, with those that somebody sets."""

    minor: int
    given: Mapping[str, bool]

    def is_on(self, name: str) -> bool:
        """Returns whether a gate is on: given, by a whole stage that is given, or by default. What a minor no longer knows has
        become a part of it, or has gone: it counts as what it was by default at last."""
        gate = gates_of(self.minor).get(name)
        if gate is None:
            rows = _table().get(name, ())
            return bool(rows) and rows[-1].until < self.minor and rows[-1].is_on
        if gate.is_locked:
            return gate.is_on
        return self.given.get(name, self.given.get(_WHOLE_STAGES.get(gate.stage, ""), gate.is_on))

    def is_off(self, name: str) -> bool:
        """Returns whether the minor knows a gate that is off: not so in a minor that does without it."""
        return name in gates_of(self.minor) and not self.is_on(name)

    def refused(self) -> Iterator[tuple[str, str]]:
        """Yields the name of each given gate with which a component of the minor ends, and why."""
        yield from self.unusable()
        yield from self._lacking()

    def unusable(self) -> Iterator[tuple[str, str]]:
        """Yields the gates as `refused`, without those that lack others: these may be given elsewhere."""
        known = gates_of(self.minor)
        # Looking for a name that is meant takes milliseconds: a file can have thousands that are none.
        asking = set([name for name in self.given if name not in _table()][:_MOST_ASKED])
        for name, value in self.given.items():
            gate = known.get(name)
            if gate is None:
                yield name, _unknown(name, self.minor, is_asking=name in asking)
            elif gate.is_locked and value != gate.is_on:
                yield name, f"this gate is locked {_word(gate.is_on)} in Kubernetes 1.{self.minor}"

    def _lacking(self) -> Iterator[tuple[str, str]]:
        for name, gate in gates_of(self.minor).items():
            off = [one for one in gate.needs if not self.is_on(one)] if self.is_on(name) else []
            if off:
                # A default never needs what is off by default: one of them is given.
                at = name if name in self.given else next((one for one in off if one in self.given), name)
                yield at, f"{name} is on, and needs {' and '.join(off)}, which {'is' if len(off) == 1 else 'are'} off"


def _unknown(name: str, minor: int, *, is_asking: bool) -> str:
    rows = _table().get(name)
    text = f"the components of Kubernetes 1.{minor} have no such feature gate"
    if rows:
        return f"{text}: " + (
            f"it is there since 1.{rows[0].since}" if rows[0].since > minor else f"1.{rows[-1].until} was the last"
        )
    question = did_you_mean(close_names(name, tuple(gates_of(minor)))[:1]) if is_asking else ""
    return f"{text}; {question}" if question else text


def _word(is_on: bool) -> str:  # noqa: FBT001
    return "on" if is_on else "off"
