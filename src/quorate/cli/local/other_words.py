"""What people type for a command of `quorate local` that is called otherwise, or that another group has."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.cli.common.foreign_commands import without_option
from quorate.errors import UsageProblem
from quorate.foreign.text import to_paste

_DELETES = ("destroy", "delete", "purge")
_OURS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("create", "init", "new", "run"), ("up",)),
    **dict.fromkeys(_DELETES, ("down", "--purge")),
    **dict.fromkeys(("health", "info", "ps"), ("status",)),
    "add": ("join",),
    "remove": ("leave",),
}
_OF_ETCD = ("move-leader", "plan", "promote", "unlock", "watch")
"""Commands of `quorate etcd` that find a local cluster by its variables."""


def of_words(words: Sequence[str]) -> UsageProblem | None:
    """Returns the error that names the command which was meant; None where the first word is none of these."""
    kept, folder = without_option(words, "--dir")
    name, *rest = kept
    where = ["--dir", folder] if folder else []
    if name == "restart":
        steps = (("stop", *rest), ("start", *rest)) if rest else (("down",), ("up",))
        return _problem(name, " && ".join(to_paste("quorate", "local", *step, *where) for step in steps))
    if name == "replace":
        return _problem(name, to_paste("quorate", "etcd", "replace", *rest, "--dir", folder or "DIR"))
    if name in _OF_ETCD:
        variables = to_paste("quorate", "local", "env", *where)
        return _problem(name, f'eval "$({variables})"; {to_paste("quorate", "etcd", name, *rest)}')
    if name in _DELETES and any(not word.startswith("-") for word in rest):
        # Of one member, not of the whole cluster.
        return _problem(name, to_paste("quorate", "local", "leave", *rest, *where))
    if name in _OURS:
        return _problem(name, to_paste("quorate", "local", *_OURS[name], *rest, *where))
    return None


def _problem(name: str, advice: str) -> UsageProblem:
    return UsageProblem(f"the group 'local' has no command {name!r}", state="nothing was changed", advice=advice)
