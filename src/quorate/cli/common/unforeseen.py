"""Stores the traceback of an unexpected exception in a file, for a bug report, instead of printing it to the terminal."""

from __future__ import annotations

import os
import time
import traceback


def keep(error: BaseException, *, shown: bool) -> str:
    """Writes the traceback to a file of mode 0600, and to stderr if `shown`; returns a sentence that names the file. The mode
    is strict because a traceback may contain untrusted text, and secrets from a library's message."""
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
        return "the traceback could not be stored: run the command again with --debug to see it"
    return f"the traceback is in {path}"
