"""The local clusters of this user, for a command that nobody named one to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quorate.errors import QuorateError
from quorate.etcd.client.endpoint import Endpoint
from quorate.foreign.text import to_paste
from quorate.host import ports
from quorate.local import state
from quorate.local.known import known_clusters
from quorate.local.layout import Layout, default_folder


def advice() -> str:
    """Returns what names the local cluster that runs, or lists them where there are several; empty for none."""
    try:
        running = [one for one in known_clusters() if one.running]
    except (QuorateError, OSError):
        return ""
    if not running:
        return ""
    if len(running) > 1:
        return 'quorate local list    # local clusters run; then: eval "$(quorate local env --dir DIR)"'
    root = running[0].root
    where = [] if root == default_folder() else ["--dir", str(root)]
    return f'eval "$({to_paste("quorate", "local", "env", *where)})"    # a local cluster runs in {root}'


def folder_of(endpoints: Sequence[Endpoint]) -> Path | None:
    """Returns the directory of the local cluster that has one of these endpoints; None where there is none of this user. Read
    from files: no member is asked."""
    try:
        roots = sorted({owner.parent for owner in ports.owners()})
    except (QuorateError, OSError):
        return None
    return next((root for root in roots if are_of(root, endpoints)), None)


def are_of(root: Path, endpoints: Sequence[Endpoint]) -> bool:
    """Returns whether the endpoints are those of the local cluster in `root`, as 'quorate local env' names them. A member that
    has left since may be among them. A state that cannot be read names none."""
    try:
        saved = state.load(Layout(root).state)
    except (QuorateError, OSError):
        return False
    known = {member.client_port for member in saved.members} if saved is not None else set[int]()
    local = all(one.host in (ports.LOOPBACK, "localhost") for one in endpoints)
    return local and any(one.port in known for one in endpoints)
