"""Text of systemd unit files: words and values as systemd reads them, and the unit of a daemon of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import ConfigError, HostError

_LEAST_TIMER_SECONDS = 60
_WATCHDOG_SECONDS = 120
"""A round takes a second, an action of the autopilot some ten seconds, and each of its waits has a limit."""


_NAME = re.compile(r"[A-Za-z0-9:_.@-]{1,200}")


def refuse_no_unit(name: str) -> None:
    """Raises `ConfigError` for what is no name of a unit."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--unit {name[:80]!r} is not a valid unit name: use letters, digits and : _ . @ -")


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


@dataclass(frozen=True, slots=True)
class Oneshot:
    """Commands that a timer runs one after the other. `writes`: the folders to which they write. `variables`: a file with their
    variables; empty for none."""

    description: str
    commands: tuple[tuple[str, ...], ...]
    writes: tuple[str, ...]
    variables: str = ""


def oneshot_text(job: Oneshot) -> str:
    """Returns the unit file. A command that fails ends it, and the next time of the timer begins anew."""
    lines = "".join(f"ExecStart={' '.join(map(unit_word, words))}\n" for words in job.commands)
    variables = f"EnvironmentFile=-{job.variables}\n" if job.variables else ""
    return f"""[Unit]
Description={unit_text(job.description)}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{lines}SuccessExitStatus=130
StateDirectory=quorate
Environment=XDG_STATE_HOME=/var/lib
{variables}Nice=10
IOSchedulingClass=idle
{_HARDENED}{_writable(job.writes)}"""


def timer_text(description: str, seconds: float) -> str:
    """Returns the timer of the unit of its name. It comes four times in `seconds`, and each time a little later than the
    timers of other hosts: one host does it, and where that fails another one does."""
    often = max(_LEAST_TIMER_SECONDS, int(seconds / 4))
    return f"""[Unit]
Description={unit_text(description)}

[Timer]
OnBootSec=2min
OnUnitInactiveSec={often}s
RandomizedDelaySec={max(1, often // 10)}s
AccuracySec=10s

[Install]
WantedBy=timers.target
"""


def _writable(folders: tuple[str, ...]) -> str:
    paths = "".join(f"ReadWritePaths={unit_word(folder)}\n" for folder in folders)
    # A folder of its own in their place would hide these.
    hidden = any(Path(folder).is_relative_to(tmp) for folder in folders for tmp in _TEMPORARY)
    return paths + ("" if hidden else "PrivateTmp=yes\n")


def service_text(service: Service) -> str:
    """Returns the unit file. It runs as root, without its powers but one: to read certificates
    that belong to etcd's own user."""
    line = " ".join(map(unit_word, service.words))
    limits = _UNLIMITED if service.runs_programs else _HARDENED
    if not service.runs_programs:
        limits += _writable(service.writes)
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
