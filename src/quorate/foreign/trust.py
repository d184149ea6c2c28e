"""Checks whether another user could replace the file that a path names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import target
from quorate.foreign.local_files import distrust

_ROOT = Path("/")


def distrust_way(path: Path) -> str:
    """Returns which folder or link on the way to `path` another user could replace, and why; empty when none could.

    A folder with the sticky bit (/tmp) protects each entry from all users but its owner, so our entries there are ours. A link,
    also one that another link leads to, is trusted only where no other user may write at all.
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
