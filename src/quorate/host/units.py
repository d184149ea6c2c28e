"""Text of systemd unit files: words and values as systemd reads them, and the unit of a daemon of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError

_WATCHDOG_SECONDS = 120
"""A round takes a second, an action of the autopilot some ten seconds, and each of its waits has a limit."""


def unit_text(text: str) -> str:
    """Returns a value for a unit file, where % begins a specifier. Raises `HostError` for a value that would end its line."""
    if not text.isprintable() or text != text.strip():
        raise HostError(f"{text[:80]!r} cannot be written into a unit file", state="nothing was changed")
    return text.replace("%", "%%")


def unit_word(text: str) -> str:
    """Returns one word of a command line in a unit file, where blanks, quotes, backslashes and $ are special too."""
    escaped = unit_text(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if escaped != text or any(letter in " ';" for letter in text) else escaped


@dataclass(frozen=True, slots=True)
class Service:
    """A daemon that notifies systemd. `words`: its command line. `runs_programs`: it starts the user's own programs, for which
    nobody here knows what they need. `writes`: folders to which it writes, besides its state."""

    description: str
    words: tuple[str, ...]
    runs_programs: bool = False
    writes: tuple[str, ...] = ()


def service_text(service: Service) -> str:
    """Returns the unit file. It runs as root, without its powers but one: to read certificates
    that belong to etcd's own user."""
    line = " ".join(map(unit_word, service.words))
    limits = _UNLIMITED if service.runs_programs else _HARDENED
    if not service.runs_programs:
        limits += "".join(f"ReadWritePaths={unit_word(folder)}\n" for folder in service.writes)
        # A folder of its own in their place would hide these.
        hidden = any(Path(folder).is_relative_to(tmp) for folder in service.writes for tmp in _TEMPORARY)
        limits += "" if hidden else "PrivateTmp=yes\n"
    return f"""[Unit]
Description={unit_text(service.description)}
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={line}
Restart=always
RestartSec=5
WatchdogSec={_WATCHDOG_SECONDS}
TimeoutStopSec=30
SuccessExitStatus=130
StateDirectory=quorate
Environment=XDG_STATE_HOME=/var/lib
MemoryMax=512M
{limits}
[Install]
WantedBy=multi-user.target
"""


_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # named, not used
_UNLIMITED = """NoNewPrivileges=yes
"""
_HARDENED = """CapabilityBoundingSet=CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
UMask=0077
"""
