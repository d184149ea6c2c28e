"""No input of others does more than a typed error, 2 s and 200 MB: the kept ones, and as many new ones as a minute gives.

The seed is fixed, so a failure comes again: `make fuzz SEED=1` goes on in the same sequence. The input of a failure belongs in
the corpus, whose names say what they once did.
"""

from __future__ import annotations

import pytest

from fuzz.judge import explore, measure
from fuzz.table import CORPUS, TARGETS

SECONDS = 60.0
"""For the new inputs of all targets together."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", TARGETS)
def test_whatever_is_read_ends_soon_in_a_result_or_a_typed_error(target: str) -> None:
    report = explore(target, "1", SECONDS / len(TARGETS))
    assert not report.findings, "\n".join(map(str, report.findings))
    assert report.executions > len(TARGETS[target].corpus()), "it came to no new input"
    assert report.lines


def test_every_kept_input_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(target.corpus() for target in TARGETS.values())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("does", "kind"), [("raises", "exception"), ("computes", "slow"), ("waits", "slow"), ("grows", "memory")]
)
def test_what_breaks_the_property_is_seen(does: str, kind: str) -> None:
    """The judge itself, with a reader that does what it is told."""
    found = measure("told", does.encode())
    assert found is not None and found.kind == kind
    assert measure("told", b"refuses") is None
