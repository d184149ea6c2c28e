"""What is found before the first change, view by view."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core.membership import Alarm, ClusterView, NoResponse
from quorate.core.view_findings import findings
from unit.views import answer, view

NEW = "https://10.0.0.9:2380"


def names(seen: ClusterView, url: str = NEW) -> dict[str, str]:
    return {finding.name: finding.level for finding in findings(seen, "m9", [url])}


def test_a_sound_cluster_gives_nothing_to_say() -> None:
    assert names(view(3)) == {}


@pytest.mark.parametrize(
    ("seen", "url", "found"),
    [
        (replace(view(3), alarms=(Alarm(2, "NOSPACE"),)), NEW, {"alarm-nospace": "error"}),
        (replace(view(3), alarms=(Alarm(2, "CORRUPT"),)), NEW, {"alarm-corrupt": "error"}),
        (view(3), "https://localhost:2380", {"loopback-new": "error"}),
        (view(3, answers={1: answer(1), 2: answer(2), 3: NoResponse("gone")}), NEW, {"dead-voters": "warning"}),
        (view(2, answers={1: answer(1), 2: replace(answer(2), version="3.5.30")}), NEW, {"mixed-versions": "warning"}),
        (view(1, answers={1: replace(answer(1), version="3.5.1")}), NEW, {"unsound-version": "error"}),
        (view(1, answers={1: replace(answer(1), version="3.5.20")}), NEW, {"old-version": "warning"}),
        (view(1, answers={1: replace(answer(1), db_size=95, db_quota=100)}), NEW, {"quota": "warning"}),
    ],
)
def test_each_check(seen: ClusterView, url: str, found: dict[str, str]) -> None:
    assert names(seen, url) == found


def test_errors_come_first_and_corrupt_is_never_to_be_cleared() -> None:
    seen = replace(view(3, answers={1: answer(1), 2: answer(2)}), alarms=(Alarm(1, "CORRUPT"),))
    first = findings(seen, "m9", [NEW])[0]
    assert first.level == "error" and "never disarm CORRUPT" in first.advice
