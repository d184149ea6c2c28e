"""The shapes in which people publish their configurations: taken, or refused in words that help."""

from __future__ import annotations

import pytest
from user_files import GOOD, WRONG, good_with_notes

from quorate.config.load import loads
from quorate.config.printing import placeholders
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_any

FACTS = placeholders("v1.34.4", "cp1")


@pytest.mark.parametrize("name", GOOD)
def test_what_people_publish_is_taken(name: str) -> None:
    loaded = loads(GOOD[name].encode(), "f")
    assert [note for note in resolve_any(loaded, FACTS) if "deprecated" not in note and "is recommended" not in note] == []


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    text, wanted = WRONG[name]
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(text.encode(), "f"), FACTS)
    found = [f"{one.path}: {one.text}" for one in error.value.problems]
    assert len(found) == len(wanted), found
    assert all(one.startswith(text) for one, text in zip(found, wanted, strict=True)), found
    assert all(one.line for one in error.value.problems)


@pytest.mark.parametrize("name", good_with_notes())
def test_what_is_right_on_one_node_only_is_warned_of(name: str) -> None:
    text, wanted = good_with_notes()[name]
    found = list(resolve_any(loads(text.encode(), "f"), FACTS))
    assert len(found) == len(wanted), found
    assert all(part in note for part, note in zip(wanted, found, strict=True)), found
