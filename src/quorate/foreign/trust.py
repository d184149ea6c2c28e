"""Whether somebody else could put another file in the place of the one that a path names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import target
from quorate.foreign.local_files import distrust

_ROOT = Path("/")


def distrust_way(path: Path) -> str:
    """Returns which folder or link on the way to `path` somebody else could replace, and why; empty when nobody could.

    A folder with the sticky bit (/tmp) keeps what is in it from all but its owner, so what is ours there is ours; a link, also
    one that another link leads to, is believed only where nobody else may write at all.
    """
    try:
        with target(_ROOT, os.path.abspath(path)) as place:
            resolved = place.path
        for here in (resolved, *resolved.parents):
            status = here.lstat()
            doubt = distrust(status, here)
            sticky = here != resolved and status.st_uid in (0, os.geteuid()) and status.st_mode & stat.S_ISVTX
            if doubt and not sticky:
                return f"{here}: {doubt}"
    except HostError as error:
        return error.what
    except (OSError, RuntimeError) as error:
        return f"{path}: {getattr(error, 'strerror', '') or error}"
    return ""
