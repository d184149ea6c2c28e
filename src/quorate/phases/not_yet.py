"""Phases that need a running API server, which this version does not talk to."""

from __future__ import annotations

from collections.abc import Callable

from quorate.errors import Refused


def not_yet(phase: str) -> Callable[[object], None]:
    def run(_run: object) -> None:
        raise Refused(
            f"phase {phase} talks to the API server, and this version of quorate does not do that yet",
            state="nothing was changed by this phase",
            advice="run it with kubeadm, whose files quorate's are; docs/compat.md lists what is there",
        )

    return run
