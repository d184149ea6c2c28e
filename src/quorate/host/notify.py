"""What a service tells systemd: that it is ready, that it lives, and what it does (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_VARIABLE = "NOTIFY_SOCKET"


def told_systemd(status: str) -> None:
    """Tells systemd that this service is ready and lives, with one line on what it does; does nothing where no systemd listens.
    A service that tells this after each piece of finished work is restarted when it hangs (WatchdogSec)."""
    path = os.environ.get(_VARIABLE, "")
    if not path.startswith(("/", "@")):
        return
    line = status.replace("\n", " ")[:200]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.connect(path.replace("@", "\0", 1) if path.startswith("@") else path)
        to.send(f"READY=1\nWATCHDOG=1\nSTATUS={line}\n".encode(errors="replace"))
