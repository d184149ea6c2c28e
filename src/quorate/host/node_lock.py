"""One command at a time changes this host as a node. A reset that was suspended, while the node was reset and joined again,
deleted the new voter's files when it went on.

The lock is of this tool: kubeadm takes none. What each step is about to delete is therefore looked at again as well (decision
25).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.deadline import Clock
from quorate.host import lock
from quorate.report import Notice, PhaseReport

_PATH = Path("/run/quorate-node.lock")
_SECONDS = 5.0
"""A command that is about to end is waited for. Any other takes minutes, or stands still: it is named instead."""


@contextmanager
def changing_node(root: Path, command: str, clock: Clock, report: PhaseReport) -> Iterator[None]:
    """Holds the lock for the block. Raises `Refused`, which names the command that holds it.

    Below another root than / nothing runs, and only root changes a host: there, and for other users, nothing is locked.
    """
    if root != Path("/") or os.geteuid() != 0:
        yield
        return

    def tell(text: str) -> None:
        report(Notice(text))

    with lock.hold(
        _PATH, command=command, clock=clock, seconds=_SECONDS, tell=tell, prepare=lambda: None, what="this node"
    ) as held:
        try:
            yield
        finally:
            held.remove()
