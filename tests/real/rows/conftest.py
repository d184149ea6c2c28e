"""The labs of these rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.local.home import Home
from real.rows.harness import Lab, Tool, lab_in


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Of etcd 3.6."""
    with lab_in(tmp_path, "3.6") as built:
        yield built


@pytest.fixture(params=["3.4", "3.5", "3.6", "3.7"])
def each_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Of each version in turn."""
    with lab_in(tmp_path, request.param) as built:
        yield built


@pytest.fixture
def tool_of(home: Home) -> Iterator[list[Tool]]:
    """Runs of the tool that end with the test."""
    tools: list[Tool] = []
    yield tools
    for tool in tools:
        tool.kill()
