"""What the frequent commands load. `make startup` records it in contract/startup.json; a test fails when one loads more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from conftest import BIN
from kubeadm_cases import MINIMAL

from quorate.local import cluster
from quorate.local.home import Home
from quorate.local.layout import Layout

RECORD = Path(__file__).with_name("contract") / "startup.json"
_LIBRARIES = frozenset({"cryptography", "google.protobuf", "grpc", "h11", "jsonpatch", "msgspec", "rich", "yaml"})
_PYTHONS = frozenset({"asyncio", "difflib", "email", "hashlib", "http", "importlib.metadata", "importlib.resources", "json"})
_PYTHONS |= {"logging", "secrets", "shutil", "socket", "ssl", "subprocess", "tempfile"}
HEAVY = _LIBRARIES | _PYTHONS
"""Modules that take a millisecond and more. Those that click loads for every command are not here."""

_GRPC = frozenset({"asyncio", "google.protobuf", "grpc", "json", "logging", "socket", "ssl", "subprocess"})
_CONFIG = frozenset({"json", "msgspec", "yaml"})
ALONE: Mapping[str, frozenset[str]] = {
    "--version": frozenset(),
    "--help": frozenset({"shutil"}),
    "etcd --help": frozenset({"shutil"}),
    "completion bash": frozenset({"shutil", "subprocess"}),
    "config validate --config kubeadm.yaml": _CONFIG,
    "config print init-defaults": _CONFIG | {"shutil"},
}
"""The frequent commands that ask no cluster, each with those of `HEAVY` that it needs."""

ASKING: Mapping[str, frozenset[str]] = {
    "etcd member list": _GRPC,
    "etcd members": _GRPC | {"hashlib"},
    "etcd status": _GRPC | {"h11", "hashlib", "secrets"},
}
"""Those that ask a cluster."""

_SCRIPT = """
import sys
before = set(sys.modules)
from quorate.cli.main import run_with
code = run_with(sys.argv[1:])
loaded = set(sys.modules) - before
import json
print()
print(json.dumps([code, sorted(loaded)]))
"""


def variables_of(home: Home, etcd: str) -> Mapping[str, str]:
    """Starts a cluster of one; returns the variables that lead to it, over TLS."""
    (found,) = cluster.up(home, 1, etcd).view.members
    client = home.layout.pki / "healthcheck-client"
    files = {"CACERT": home.layout.pki / "ca.crt", "CERT": client.with_suffix(".crt"), "KEY": client.with_suffix(".key")}
    given = {f"ETCDCTL_{name}": str(path) for name, path in files.items()}
    return {**given, "ETCDCTL_ENDPOINTS": found.client_urls[0]}


def loaded_by(command: str, folder: Path, variables: Mapping[str, str]) -> frozenset[str]:
    """Runs a command, which must succeed, in a folder with a kubeadm.yaml; returns the modules that it loads."""
    (folder / "kubeadm.yaml").write_text(MINIMAL)
    run = [sys.executable, "-c", _SCRIPT, *command.split()]
    environment = {**os.environ, **variables}
    done = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done
    return frozenset(modules)


def ours(modules: frozenset[str]) -> list[str]:
    return sorted(name for name in modules if name.partition(".")[0] == "quorate")


def recorded() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(RECORD.read_text())
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        # The ports are reserved there, not in the home of whoever runs this.
        os.environ["XDG_STATE_HOME"] = text
        folder, home = Path(text), Home(Layout(Path(text) / "cluster"))
        try:
            variables = variables_of(home, str(BIN / "etcd-3.6"))
            found = {command: ours(loaded_by(command, folder, variables)) for command in (*ALONE, *ASKING)}
        finally:
            cluster.down(home, purge=True)
    RECORD.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
