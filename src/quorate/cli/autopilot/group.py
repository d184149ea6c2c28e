"""The command group `quorate autopilot`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from quorate.cli.autopilot.meant import HANDED_DOWN, group_options
from quorate.cli.common import commands
from quorate.errors import UsageProblem

_IN = "quorate.cli.autopilot."
_LATER = {
    "explain": (f"{_IN}shown", "explain", "Show why nothing is done, or what is next, and by which rule."),
    "history": (f"{_IN}history", "history", "Show what it began, what it did, and what operators ordered."),
    "hold": (f"{_IN}orders", "hold", "Exempt MEMBER from being replaced, moved or removed for a time."),
    "manifest": (f"{_IN}install", "manifest", "Print a static pod that runs the autopilot."),
    "pause": (f"{_IN}orders", "pause", "Let it do nothing for a time."),
    "policy": (f"{_IN}policy", "group", "Show and set how many voters and standbys it keeps, and when a voter is lost."),
    "resume": (f"{_IN}orders", "resume", "End a pause."),
    "run": (f"{_IN}run", "run", "Watch the cluster, promote learners and replace lost voters until Ctrl-C."),
    "status": (f"{_IN}shown", "status", "Show the policy, the instance that acts and what it decided last."),
    "unit": (f"{_IN}install", "unit", "Print a systemd unit that runs the autopilot."),
}


def _other_words(_ctx: click.Context, words: Sequence[str]) -> UsageProblem | None:
    from quorate.cli.autopilot.other_words import of_words

    return of_words(words)


@commands.group(
    "autopilot",
    variables={"ETCDCTL_PASSWORD": "Password of the user that --user or ETCDCTL_USER names."},
    later=_LATER,
    hands_down=HANDED_DOWN,
    foreign=_other_words,
)
@group_options
def group() -> None:
    """Keep an etcd cluster at its size: learners that are aligned get a vote, a lost voter is replaced by a standby.

    \b
    Examples:
      quorate autopilot run --dir ./try             # in the foreground, until Ctrl-C
      quorate autopilot explain                     # why nothing is done now
      quorate autopilot pause --for 2h --why 'firmware updates'
    """
