"""Certificates that share files by links: a renewal of one is one of the other, or takes its key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from quorate.errors import PreflightFailed
from quorate.host.proc import file_id
from quorate.phases.base.context import Context
from quorate.phases.node import certs
from quorate.pki.table import SA_KEY, SA_PUB, entries

_SERVICE_ACCOUNTS = "the key of service accounts"


def each_once(context: Context, names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Returns the names, of all that are `known`, without those whose files are another's by links: they are renewed with it.
    Raises `PreflightFailed` for one that shares only its key: the other's certificate would be without one; and for one that
    shares a file with what is never renewed, a CA or the key of service accounts: the only key of a CA was replaced by that of
    a leaf."""
    chosen: list[str] = []
    files = {name: _real_files(context, paths) for name, paths in _paths(context, {*known, *names}).items()}
    kept = {name: _real_files(context, paths) for name, paths in _paths_of_kept(context).items()}
    for name in names:
        own = files[name].keys()
        same = next((one for one in chosen if files[one].keys() == own), None)
        sharing = [one for one in files if files[one].keys() & own and files[one].keys() != own]
        sharing += [one for one in kept if kept[one].keys() & own]
        if sharing:
            shared = [files[name][one] for one in own & (files | kept)[sharing[0]].keys()]
            raise PreflightFailed(
                f"{name} and {sharing[0]} share {', '.join(sorted(shared))}: a renewal of one would take it from the other",
                state="nothing was changed",
                advice="make two of it, each with its own key and certificate",
            )
        if same is not None:
            context.say("renew", f"{name}: its files are those of {same}, and are renewed with it")
        else:
            chosen.append(name)
    return chosen


def _paths(context: Context, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
    table = {entry.name: entry for entry in entries(context.cluster, context.node)}
    return {
        name: certs.files(context, table[name]) if name in table else (f"{context.config_folder}/{name}",) for name in names
    }


def _paths_of_kept(context: Context) -> Mapping[str, Sequence[str]]:
    """Returns the files that no renewal may write to."""
    cas = {entry.name: certs.files(context, entry) for entry in entries(context.cluster, context.node) if entry.is_ca}
    return {**cas, _SERVICE_ACCOUNTS: (context.pki(SA_KEY), context.pki(SA_PUB))}


def _real_files(context: Context, paths: Iterable[str]) -> dict[tuple[str, str], str]:
    """Returns each file's real path, by which it is shown, and which it is: a mount shows one folder at two places. A second
    name of a file is another file for a renewal, which replaces the name."""
    real = [context.tree.at(path).resolve() for path in paths if context.tree.is_file(path)]
    return {(file_id(one.parent), one.name): str(one) for one in real}
