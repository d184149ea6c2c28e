"""What people type for a command of `quorate autopilot` that is called otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.errors import UsageProblem
from quorate.foreign.text import to_paste

_OURS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("log", "logs"), ("history",)),
    **dict.fromkeys(("release", "unhold"), ("hold",)),
    **dict.fromkeys(("disable", "stop"), ("pause", "--for", "2h")),
    **dict.fromkeys(("enable", "unpause"), ("resume",)),
    "start": ("run",),
}
_ENDS = ("release", "unhold")


def of_words(words: Sequence[str]) -> UsageProblem | None:
    """Returns the error that names the command which was meant; None where the first word is none of these."""
    name, *rest = words
    if name not in _OURS:
        return None
    more = ["--for", "0"] if name in _ENDS else []
    command = to_paste("quorate", "autopilot", *_OURS[name], *rest, *more)
    also = "    # an instance ends by Ctrl-C, a service by systemctl" if name in ("disable", "stop") else ""
    return UsageProblem(
        f"the group 'autopilot' has no command {name!r}", state="nothing was changed", advice=f"{command}{also}"
    )
