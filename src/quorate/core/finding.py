"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check. An `error` stops the join, a `warning` is reported; `name` is stable, for programs."""

    name: str
    level: Literal["error", "warning", "info"]
    text: str
    advice: str = ""
