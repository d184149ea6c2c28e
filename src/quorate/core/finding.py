"""Findings of checks, and the one way in which they are ordered, judged and shown to programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check. An `error` stops the join, a `warning` is reported; `name` is stable, for programs."""

    name: str
    level: Literal["error", "warning", "info"]
    text: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Returns the finding as `-o json` shows it, in every command."""
        return {"name": self.name, "level": self.level, "text": self.text, "advice": self.advice}


def errors_of(found: Iterable[Finding]) -> list[Finding]:
    """Returns the findings that stop the requested change."""
    return [finding for finding in found if finding.level == "error"]


def errors_first(found: Iterable[Finding]) -> list[Finding]:
    """Returns the findings with the errors first, otherwise in their order."""
    return sorted(found, key=lambda finding: finding.level != "error")
