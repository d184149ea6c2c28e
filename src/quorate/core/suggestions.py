"""What a mistyped word was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_CLOSE = 0.7
"""At least this much of two words is the same. With less, `drain` was taken for `print`."""


def close(word: str, known: Iterable[str]) -> list[str]:
    """Returns the known words that are close to `word`, the closest first."""
    from difflib import get_close_matches

    return get_close_matches(word, list(known), cutoff=_CLOSE)


def likeness(one: str, other: str) -> float:
    """Returns how much of two words is the same, from 0 to 1."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, one, other).ratio()


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """Returns the known names that are close to `name`, the closest first: the same in other letters, those that begin with
    it, and those that look like it."""
    by_lower = {one.lower(): one for one in known}
    low = name.lower()
    same = [low] if low in by_lower else []
    begin = [one for one in by_lower if low and one.startswith(low)] if not same else []
    return [by_lower[one] for one in dict.fromkeys([*same, *begin, *close(low, by_lower)])]


def did_you_mean(found: Sequence[str]) -> str:
    """Returns the question, with what was found; empty when nothing was."""
    return f"did you mean {' or '.join(found)}?" if found else ""
