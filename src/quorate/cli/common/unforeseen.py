"""Where the traceback of an exception that nobody foresaw is kept: for a report, and not on everybody's terminal."""

from __future__ import annotations

import os
import time
import traceback


def keep(error: BaseException, *, shown: bool) -> str:
    """Writes the traceback to a file of mode 0600, and to stderr where it is to be `shown`; returns where it is. It may hold
    what strangers wrote, and what a library put into its message, secrets too."""
    from quorate.cli.common.output import echo
    from quorate.errors import QuorateError
    from quorate.files import state_folder, write_atomic

    text = "".join(traceback.format_exception(error))
    if shown:
        for line in text.splitlines():
            echo(line, err=True)
    try:
        path = state_folder() / f"traceback-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        write_atomic(path, text.encode(errors="replace"), mode=0o600)
    except (QuorateError, OSError):
        return "its traceback could not be kept: run it again with --debug"
    return f"its traceback is in {path}"
