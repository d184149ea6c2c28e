"""Certificates that share files by links: a renewal of one is one of the other, or takes its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quorate.errors import PreflightFailed
from quorate.phases.base.context import Context
from quorate.phases.node import certs
from quorate.pki.table import entries


def each_once(context: Context, names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Returns the names, of all that are `known`, without those whose files are another's by links: they are renewed with it.
    Raises `PreflightFailed` for one that shares only its key: the other's certificate would be without one."""
    chosen: list[str] = []
    files = {name: _real_files(context, name) for name in {*known, *names}}
    for name in names:
        same = next((one for one in chosen if files[one] == files[name]), None)
        sharing = next((one for one in files if files[one] & files[name] and files[one] != files[name]), None)
        if sharing is not None:
            raise PreflightFailed(
                f"{name} and {sharing} share the key {', '.join(sorted(files[name] & files[sharing]))}: a renewal of one would "
                "leave the other's certificate without its key",
                state="nothing was changed",
                advice="make two of it, each with its own certificate",
            )
        if same is not None:
            context.say("renew", f"{name}: its files are those of {same}, and are renewed with it")
        else:
            chosen.append(name)
    return chosen


def _real_files(context: Context, name: str) -> frozenset[str]:
    table = {entry.name: entry for entry in entries(context.cluster, context.node)}
    paths = certs.files(context, table[name]) if name in table else (f"{context.config_folder}/{name}",)
    return frozenset(str(context.tree.at(path).resolve()) for path in paths if context.tree.is_file(path))
