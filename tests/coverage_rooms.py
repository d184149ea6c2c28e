"""Coverage by room, held by a ratchet: `make coverage` fails where a room has less than tests/coverage.json says.

Unit, model and real tests count together: what runs only where a real etcd runs is no hole. Reads a coverage.json that
`coverage json` made; with --raise it writes the floors anew.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

FLOORS = Path(__file__).parent / "coverage.json"
_SLACK = 0.5
"""Percent: which branch a wait takes depends on who is faster."""
_OURS = "quorate/"
_WITH_ROOMS = ("etcd", "phases", "cli")


def room_of(path: str) -> str:
    """The room of a file below src/quorate: etcd/client, core, …"""
    parts = Path(path.partition(_OURS)[2]).parts
    depth = 2 if parts[0] in _WITH_ROOMS and len(parts) > 2 else 1
    return "/".join(parts[:depth]) if len(parts) > 1 else "quorate"


def percents(report: dict[str, dict[str, dict[str, dict[str, int]]]]) -> dict[str, float]:
    """By room, the part of statements and branches that ran."""
    ran, there = defaultdict[str, int](int), defaultdict[str, int](int)
    for path, found in report["files"].items():
        summary, room = found["summary"], room_of(path)
        ran[room] += summary["covered_lines"] + summary["covered_branches"]
        there[room] += summary["num_statements"] + summary["num_branches"]
    return {room: round(100 * ran[room] / there[room], 1) for room in sorted(there) if there[room]}


def shortfalls(found: dict[str, float], floors: dict[str, float]) -> list[str]:
    """What is below its floor, and rooms that have none yet."""
    below = [
        f"{room}: {found.get(room, 0.0)} %, its floor is {floor} %"
        for room, floor in floors.items()
        if found.get(room, 0.0) < floor - _SLACK
    ]
    return below + [f"{room}: {found[room]} %, it has no floor yet" for room in found if room not in floors]


def main(words: list[str]) -> int:
    found = percents(json.loads(Path(words[0]).read_text()))
    for room, percent in found.items():
        print(f"{percent:6.1f} %  {room}")
    if "--raise" in words:
        FLOORS.write_text(json.dumps(found, indent=2) + "\n")
        return 0
    low = shortfalls(found, json.loads(FLOORS.read_text()) if FLOORS.exists() else {})
    print("\n".join(low))
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
