"""Shared fixtures: engines, local clusters that leave nothing behind, and the command line as a user runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import schemas
from hypothesis import settings

from quorate.deadline import SystemClock
from quorate.host import proc, process
from quorate.local.home import Home
from quorate.local.layout import Layout

# Some examples write files and fsync them: their time says nothing about them.
settings.register_profile("quorate", deadline=None)
settings.load_profile("quorate")

# A shell that starts the suite with `&` lets SIGINT be ignored in its children, and a tool that was told to ignore Ctrl-C does
# ignore it: a test that sends one would fail. With a handler here the workers and the tools they start begin with the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Makes the folder of the tests' port reservations and journals, which the workers inherit; it is gone when the session
    ends. Not with the import: scripts that import this module end no session."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="quorate-tests-")


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


NODE_FOLDERS = ("/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd")


@pytest.fixture(scope="session", autouse=True)
def _this_machine_stays_as_it_is() -> Iterator[None]:
    """A test that takes this machine for its node leaves files where all later ones look: they saw a node that had been one."""
    before = {path: _names(path) for path in NODE_FOLDERS}
    yield
    assert {path: _names(path) for path in NODE_FOLDERS} == before, "a test made or deleted files of a node on this machine"


@pytest.fixture
def only_own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What judges the etcds of a machine sees those of this test, and not what another test has just broken beside it."""
    real, own = proc.pids, os.getpid()

    def is_own(pid: int) -> bool:
        while pid > 1 and pid != own:
            fields = proc.stat_fields(pid)
            pid = int(fields[1]) if fields is not None else 0
        return pid == own

    monkeypatch.setattr(proc, "pids", lambda: filter(is_own, real()))


def _names(path: str) -> list[str] | None:
    return sorted(str(one) for one in Path(path).rglob("*")) if Path(path).exists() else None


ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".engines" / "bin"


def engine(name: str) -> str:
    """The path of a built engine; skips, saying why, where it is not built."""
    path = BIN / name
    if not os.access(path, os.X_OK):
        pytest.skip(f"{name} is not built here: run 'make engines'")
    return str(path)


@pytest.fixture(params=["3.4", "3.5", "3.6", "3.7"])
def any_etcd(request: pytest.FixtureRequest) -> str:
    """Each etcd in turn, as a path."""
    return engine(f"etcd-{request.param}")


@pytest.fixture
def etcd36() -> str:
    return engine("etcd-3.6")


@pytest.fixture
def etcdctl() -> str:
    return engine("etcdctl")


MakeHome = Callable[[], Home]


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[MakeHome]:
    """Homes of local clusters below the test's folder; whatever still runs there is killed afterwards."""
    homes: list[Home] = []

    def make() -> Home:
        homes.append(Home(Layout(tmp_path / f"cluster{len(homes) or ''}")))
        return homes[-1]

    yield make
    for home in homes:
        kill_everything(home)
        # Every etcd preallocates 128 MB of log, and pytest keeps the folders of three runs.
        shutil.rmtree(home.layout.root, ignore_errors=True)


@pytest.fixture
def home(make_home: MakeHome) -> Home:
    return make_home()


def kill_everything(home: Home) -> None:
    """End the members of a cluster whatever state the test left it in."""
    if not home.layout.members.exists():
        return
    clock = SystemClock()
    for folder in home.layout.members.iterdir():
        identity = home.daemon(folder.name).identity()
        if identity is not None:
            process.kill(identity, clock)


RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli() -> RunCli:
    """Run `quorate ARGUMENTS` in a process of its own; returns what it printed and its exit code."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "QUORATE_"))}
        done = subprocess.run(
            [sys.executable, "-m", "quorate", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={**clean, **environment},
        )
        schemas.checked(done.stdout)
        return done

    return run
