"""Reads the facts about this host that configuration and manifests depend on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from quorate.errors import HostError

CRI_SOCKETS = ("/var/run/containerd/containerd.sock", "/var/run/crio/crio.sock", "/var/run/cri-dockerd.sock")
_SYSTEMCTL_SECONDS = 10.0
_DIAL_SECONDS = 1.0
_LONGEST_SOCKET = 107
RESOLVED_CONF = "/run/systemd/resolve/resolv.conf"
_NOWHERE = {"AF_INET": "192.0.2.1", "AF_INET6": "2001:db8::1"}
"""Documentation addresses that no host has (RFC 5737, RFC 3849): the kernel routes them by the default route. No packet is
sent."""


def hostname() -> str:
    """Returns this host's name in lower case."""
    return os.uname().nodename.strip().lower()


def default_address(families: Sequence[str] = tuple(_NOWHERE)) -> str:
    """Returns the source address of the default route, by default IPv4 before IPv6; empty when there is no default route."""
    import socket

    for family, target in ((one, _NOWHERE[one]) for one in families):
        try:
            with socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return ""


def cri_sockets(root: Path = Path("/")) -> list[str]:
    """Returns the sockets of known container runtimes at which something listens, as kubeadm finds them: a file that a runtime
    left behind is none."""
    return [path for path in CRI_SOCKETS if _listens(root.joinpath(path.lstrip("/")))]


def _listens(path: Path) -> bool:
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        # The kernel takes no longer name, below a --rootfs: what can be said is that the file is there.
        return path.is_socket()
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_DIAL_SECONDS)
        try:
            probe.connect(str(path))
        except PermissionError:
            # Whoever runs this may not ask it; it is there all the same.
            return path.is_socket()
        except OSError:
            return False
    return True


def why_silent(path: Path) -> str:
    """Returns why nothing answers at a socket; empty when something listens there."""
    if not path.exists():
        return "there is no such socket"
    if not os.access(path, os.R_OK | os.W_OK):
        return "this user may not connect to it"
    return "" if _listens(path) else "nothing listens there"


def kubelet_version() -> str:
    """Returns the version of the installed kubelet, such as v1.34.4; empty when it is unknown."""
    import shutil

    kubelet = shutil.which("kubelet")
    if kubelet is None:
        return ""
    from quorate.host import programs

    try:
        printed = programs.run([kubelet, "--version"], seconds=20).out
    except HostError:
        return ""
    match = re.search(r"v[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}\S{0,40}", printed[:1000])
    return match[0] if match else ""


def existing_folders(folders: tuple[str, ...], root: Path = Path("/")) -> tuple[str, ...]:
    """Returns those of `folders` that exist below `root`."""
    return tuple(folder for folder in folders if root.joinpath(folder.lstrip("/")).is_dir())


def proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the *_proxy variables of an environment, in either case, without empty ones."""
    return {name: value for name, value in sorted(environment.items()) if name.lower().endswith("_proxy") and value}


def resolv_conf() -> str:
    """Returns the path of systemd-resolved's file where that service runs, else "". Pods cannot use its stub on loopback."""
    import shutil

    from quorate.host import programs

    if not Path("/run/systemd/system").is_dir() or not Path(RESOLVED_CONF).exists():
        return ""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return ""
    try:
        active = programs.run([systemctl, "is-active", "--quiet", "systemd-resolved"], seconds=_SYSTEMCTL_SECONDS)
    except HostError:
        return ""
    return RESOLVED_CONF if active.code == 0 else ""
