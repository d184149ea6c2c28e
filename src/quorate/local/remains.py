"""A directory whose cluster.json is gone: what shows that it is one of ours, and what is left to do there."""

from __future__ import annotations

from quorate.errors import ConfigError
from quorate.foreign.text import to_paste
from quorate.local.layout import Layout, check_name
from quorate.local.runtime import daemon_of


def members_left(layout: Layout) -> list[str]:
    """Returns the names of the members whose files are in the directory, in natural order."""
    try:
        names = [entry.name for entry in layout.members.iterdir() if _is_member(layout, entry.name)]
    except OSError:
        return []
    return sorted(names, key=lambda name: (len(name), name))


def _is_member(layout: Layout, name: str) -> bool:
    try:
        paths = layout.member(check_name(name))
    except ConfigError:
        return False
    return paths.process.exists() or paths.pki.is_dir() or paths.has_data


def state_is_gone(layout: Layout) -> ConfigError:
    """Returns the error for a directory with members and without cluster.json. Their etcds may run, and only their records name
    them now."""
    running = {
        name: identity.pid
        for name in members_left(layout)
        if (identity := daemon_of(layout.member(name)).identity()) is not None
    }
    etcds = ", ".join(f"{name} (pid {pid})" for name, pid in running.items())
    kill = [to_paste("kill", *map(str, running.values()))] if running else []
    ours = (layout.members, layout.pki.parent, layout.journal)
    delete = to_paste("rm", "-r", *(str(path) for path in ours if path.exists()))
    return ConfigError(
        f"{layout.state} is gone: {layout.root} has the members of a local cluster, but not which of them there are",
        state=f"its etcds run: {etcds}" if etcds else "none of its etcds runs",
        advice=f"put {layout.state.name} back from a copy; or, to give up what it held: {' && '.join([*kill, delete])}",
    )
