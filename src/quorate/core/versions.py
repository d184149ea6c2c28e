"""etcd versions and the rules that depend on them; each rule names the first release that behaves so."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSION = re.compile(r"(?<![0-9])([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})")
_MOST_LETTERS = 200
"""Characters of a version that are parsed. A member may report anything: 50 kB of digits took 47 s."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """`major.minor.patch`; a pre-release suffix is dropped, which errs on the side of the release it precedes."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Reads the first `X.Y.Z` in `text`; raises ValueError when there is none."""
        match = _VERSION.search(text[:_MOST_LETTERS])
        if match is None:
            raise ValueError(f"no version in {text[:40]!r}")
        return cls(*(int(part) for part in match.groups()))

    @classmethod
    def told(cls, text: str) -> Version:
        """Reads the version that a member reports, as `parse` does; returns 0.0.0, older than all, when there is none: one
        member must not end the look at the others."""
        try:
            return cls.parse(text)
        except ValueError:
            return cls(0, 0, 0)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def series(self) -> tuple[int, int]:
        return self.major, self.minor


OLDEST = Version(3, 4, 0)
"""Learners came with 3.4.0."""


def is_supported(version: Version) -> bool:
    return version >= OLDEST


def can_lose_data(version: Version) -> bool:
    """Returns whether a crash can cost this version its consistency: 3.5.0 to 3.5.2 (etcd issue 13766, fixed in 3.5.3)."""
    return Version(3, 5, 0) <= version < Version(3, 5, 3)


def upgrade_advice(version: Version) -> str | None:
    """Returns why this version should be replaced although it works; None when there is no reason."""
    if version.series == (3, 4):
        return "etcd 3.4 is out of support since 2026-06"
    if version.series == (3, 5) and version < Version(3, 5, 26):
        return "before 3.5.26 a promoted learner can become a learner again in an upgrade to 3.6 (etcd issues 19557, 20967)"
    return None


def has_max_learners(version: Version) -> bool:
    """Returns whether `--max-learners` exists: since 3.6.0. Before, the limit is one, fixed at compile time."""
    return version >= Version(3, 6, 0)


def can_lose_publish(version: Version) -> bool:
    """Returns whether a joiner can lose its publish. Since 3.6.0 the leader compacts its log every 100 entries, so nearly every
    joiner is fed by snapshot. The publish that it sent meanwhile arrives inside that snapshot, and only a timeout ends its own
    wait for it (docs/lost-publish.md)."""
    return version >= Version(3, 6, 0)


def logs_with_rotation(version: Version) -> bool:
    """Returns whether `--enable-log-rotation` exists: since 3.5.0."""
    return version >= Version(3, 5, 0)
