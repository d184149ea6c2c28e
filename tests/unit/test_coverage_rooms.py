"""The ratchet of `make coverage`."""

from __future__ import annotations

import pytest
from coverage_rooms import percents, room_of, shortfalls


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("src/quorate/core/ids.py", "core"),
        ("/x/site-packages/quorate/etcd/client/kv.py", "etcd/client"),
        ("src/quorate/etcd/cluster.py", "etcd"),
        ("src/quorate/files.py", "quorate"),
    ],
)
def test_each_file_counts_for_its_room(path: str, room: str) -> None:
    assert room_of(path) == room


def test_a_room_below_its_floor_and_one_without_are_named() -> None:
    summary = {"covered_lines": 8, "covered_branches": 1, "num_statements": 10, "num_branches": 2}
    found = percents({"files": {"src/quorate/core/a.py": {"summary": summary}, "src/quorate/pki/b.py": {"summary": summary}}})
    assert found == {"core": 75.0, "pki": 75.0}
    assert shortfalls(found, {"core": 75.4, "pki": 75.0}) == []
    assert shortfalls(found, {"core": 80.0}) == ["core: 75.0 %, its floor is 80.0 %", "pki: 75.0 %, it has no floor yet"]
