"""The local clusters of this user, for a command that asked at the default endpoint and found nothing there."""

from __future__ import annotations

from quorate.errors import QuorateError
from quorate.foreign.text import to_paste
from quorate.local.known import known_clusters
from quorate.local.layout import default_folder


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
