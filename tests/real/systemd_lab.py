"""A real systemd as PID 1 of namespaces of its own, with no units but those the test writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# The machine's own units are hidden: their tmpfiles service would empty /tmp, which is not private here.
_BOOT = """
set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/dbus
for folder in /etc/systemd/system /usr/lib/systemd/system /usr/lib/systemd/system-generators; do
  mount -t tmpfs tmpfs $folder
done
for target in sysinit basic shutdown multi-user network-online default; do
  printf '[Unit]\\nDefaultDependencies=no\\n' > /usr/lib/systemd/system/$target.target
done
export container=quorate-lab
exec /lib/systemd/systemd --system --log-target=null --show-status=no
"""
_GROUPS = Path("/sys/fs/cgroup/systemd")
_NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup")


@dataclass(frozen=True)
class Lab:
    """`pid` is systemd's on this machine."""

    pid: int

    @property
    def enter(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", *_NAMESPACES, "--"]

    @property
    def units(self) -> Path:
        return Path(f"/proc/{self.pid}/root/etc/systemd/system")

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "QUORATE_"))}
        return subprocess.run(
            [*self.enter, *command],
            capture_output=True, text=True, check=False, timeout=100, env={**variables, **environment},
        )  # fmt: skip

    def quorate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "quorate", *arguments)

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").stdout.strip()


@contextmanager
def systemd_lab(name: str) -> Iterator[Lab]:
    """Skips, saying why, where namespaces or systemd are missing."""
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists() or not _GROUPS.is_dir():
        pytest.skip("needs root, systemd, and its cgroup hierarchy: the systemd runtime is untested here")
    group = _GROUPS / name
    group.mkdir()
    boot = f'echo $$ > {group}/cgroup.procs; exec unshare --fork --pid --mount --uts --ipc --cgroup --mount-proc sh -c "$0"'
    outer = subprocess.Popen(["sh", "-c", boot, _BOOT], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        lab = Lab(_child_of(outer.pid))
        _wait_until_booted(lab, outer)
        yield lab
    finally:
        _end(outer)
        _remove(group)


def _child_of(pid: int) -> int:
    for _ in range(200):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.02)
    raise AssertionError("unshare has no child")


def _wait_until_booted(lab: Lab, outer: subprocess.Popen[str]) -> None:
    for _ in range(200):
        assert outer.poll() is None, outer.stderr.read() if outer.stderr else ""
        if lab.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
            return
        time.sleep(0.05)
    raise AssertionError("systemd does not come up")


def _end(outer: subprocess.Popen[str]) -> None:
    """Killing PID 1 of a pid namespace ends everything in it."""
    for child in Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    outer.wait(20)
    if outer.stderr:
        outer.stderr.close()


def _remove(group: Path) -> None:
    for _ in range(100):
        folders = sorted((entry for entry in group.rglob("*") if entry.is_dir()), key=lambda path: -len(path.parts))
        try:
            for folder in [*folders, group]:
                folder.rmdir()
        except OSError:
            # The kernel empties the groups of killed processes a moment later.
            time.sleep(0.05)
        else:
            return
    shutil.rmtree(group, ignore_errors=True)
