"""What another host's fence wrote is a stranger's text: bounded, and never more than a claim about one member."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quorate.errors import ConfigError
from quorate.recovery.survivors import read_fenced

GOOD = {
    "format": 1,
    "kind": "quorate-fenced",
    "host": "cp2",
    "kept": "/var/lib/etcd.quorate-kept-0a1b2c3d",
    "run": "0a1b2c3d",
    "name": "cp2",
    "clusterId": "00000000000000ab",
    "memberId": "00000000000000cd",
    "lastTerm": 3,
    "lastIndex": 70,
    "revision": 60,
    "isLearner": False,
    "isCorrupt": False,
    "isWhole": True,
    "configurations": [["cd", "ef"]],
    "learners": ["12"],
    "problems": [],
}


def written(folder: Path, content: object) -> Path:
    path = folder / "cp2.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_what_it_says_is_read_and_written_again(tmp_path: Path) -> None:
    found = read_fenced(written(tmp_path, GOOD))
    one = found.survivor
    assert (one.cluster_id, one.member_id, one.last, one.revision) == (0xAB, 0xCD, (3, 70), 60)
    assert one.configurations == (frozenset({0xCD, 0xEF}),) and not one.is_here
    again = read_fenced(written(tmp_path, found.text()))
    assert again == found


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff" * 100,
        b'{"a":' * 100_000,
        {"kind": "else"},
        GOOD | {"format": 2},
        GOOD | {"clusterId": "xyz"},
        GOOD | {"memberId": "0" * 17},
        GOOD | {"configurations": [["zz"]]},
        GOOD | {"configurations": "all"},
        GOOD | {"learners": None},
        GOOD | {"learners": [3]},
        GOOD | {"learners": ["zz"]},
        GOOD | {"learners": ["12"] * 101},
        GOOD | {"configurations": [[]]},
        GOOD | {"configurations": [["cd"]] * 201},
        GOOD | {"configurations": [[f"{number:x}" for number in range(1, 150)]]},
        b" " * (2 << 20),
    ],
)
def test_what_is_no_such_file_is_said_to_be_none(tmp_path: Path, content: object) -> None:
    with pytest.raises(ConfigError):
        read_fenced(written(tmp_path, content))


def test_what_is_odd_in_it_is_harmless(tmp_path: Path) -> None:
    odd = GOOD | {"name": "a\n\x1b[31mb", "lastIndex": "70", "problems": {"a": 1}, "isWhole": "yes"}
    one = read_fenced(written(tmp_path, odd)).survivor
    assert "\n" not in one.name and "\x1b" not in one.name
    assert (one.last, one.problems, one.is_whole) == ((3, 0), (), False)
