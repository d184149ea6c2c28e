"""The exit codes, and which of them a kind of command can end with. The classes of errors define them (quorate.errors)."""

from __future__ import annotations

from typing import TypeAlias

Ends: TypeAlias = tuple[int, ...]
"""The exit codes that a command can end with."""

MEANING = {
    0: "done",
    1: "failed",
    2: "a check failed before anything was changed",
    3: "the command line, a variable or a file is wrong; nothing was changed",
    4: "refused: unsafe, or impossible now; nothing was changed",
    5: "the outcome is unknown; run the same command again",
    130: "interrupted",
}
CHANGES: Ends = (0, 1, 2, 3, 4, 5, 130)
"""Those of a command that changes something outside this process, and rolls back what it can when it is stopped."""

READS: Ends = (0, 1, 3, 130)
PRINTS: Ends = (0, 3)
"""Those of a command that asks nobody."""
