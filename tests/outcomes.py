"""How the members of a run ended, by the fields that programs read: the words of `state` may change."""

from __future__ import annotations

from quorate.errors import QuorateError


def outcomes(error: QuorateError) -> list[str]:
    """Returns undone, kept, not-undone, vote-unknown, removed, unchanged or removal-unknown, one for each member."""
    return [str(row["outcome"]) for row in error.outcomes]


def data_of(error: QuorateError) -> list[str]:
    """Returns what became of the data of members that were rolled back: deleted, elsewhere or none."""
    return [str(row["data"]) for row in error.outcomes if "data" in row]
