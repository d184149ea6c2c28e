"""Each story of testdata/join comes out as it is written; `make stories` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit import stories


@pytest.mark.parametrize("path", sorted(stories.FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_a_story_comes_out_as_it_is_written(path: Path) -> None:
    text = path.read_text()
    assert stories.told(text) == text, "a decision has changed: 'make stories' writes the new one, for you to read"


def test_a_story_that_is_wrong_is_found() -> None:
    assert stories.told("cluster 3\n    members: m0 leader\n") == (
        "cluster 3\n    members: m0 leader, m1 voter, m2 voter\n    margin: 1\n"
    )
