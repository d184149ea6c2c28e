"""The real kubelet and kube-proxy beside the rules that several fields, gates and forms of text have a say in."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from component_rows import KUBELET_ROWS, PROXY_ROWS
from conftest import engine

from quorate.config.component_gates import gates_of
from quorate.config.components import KUBELET, PROXY, VERSIONS

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

MINOR = 34
PROGRAMS = {KUBELET: "kubelet", PROXY: "kube-proxy"}
ALWAYS_WRONG: dict[str, dict[str, Any]] = {KUBELET: {"maxOpenFiles": -1}, PROXY: {"configSyncPeriod": "-1s"}}
"""So that no component starts: all that is wrong is reported together."""
SAYS = {KUBELET: "maxOpenFiles (--max-open-files) -1 must not be a negative number", PROXY: "ConfigSyncPeriod"}


def refused(kind: str, given: dict[str, Any], folder: Path) -> bool:
    """Returns whether a component complains of anything but what is always wrong."""
    file = folder / "c.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": VERSIONS[kind], "kind": kind, **ALWAYS_WRONG[kind], **given}))
    command = [engine(PROGRAMS[kind]), "--config", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode
    # Several errors are a list in brackets; an unknown gate ends the program before anything is checked.
    return SAYS[kind] not in done.stderr or "[invalid configuration" in done.stderr or "[KubeProxyConfiguration" in done.stderr


@pytest.mark.parametrize(
    ("kind", "body", "paths"),
    [(KUBELET, *row) for row in KUBELET_ROWS] + [(PROXY, *row) for row in PROXY_ROWS],
)
def test_a_component_refuses_what_the_rules_refuse(kind: str, body: str, paths: tuple[str, ...], tmp_path: Path) -> None:
    assert refused(kind, yaml.safe_load(body), tmp_path) == bool(paths)


def test_a_component_takes_the_gates_of_the_table(tmp_path: Path) -> None:
    known = gates_of(MINOR)
    for kind in (KUBELET, PROXY):
        defaults = {name: gate.is_on for name, gate in known.items()}
        assert not refused(kind, {"featureGates": defaults}, tmp_path)
    locked = [name for name, gate in known.items() if gate.is_locked]
    assert len(locked) > 50
    for name in locked[::10]:
        assert refused(KUBELET, {"featureGates": {name: not known[name].is_on}}, tmp_path), name


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tlsMinVersion", "1.2", "unknown tls version"),
        ("tlsCipherSuites", ["TLS_NONE"], "not supported"),
        ("authorization", {"mode": "RBAC"}, "unknown authorization mode"),
    ],
)
def test_what_a_kubelet_reads_after_its_validation(field: str, value: object, said: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    given = {"apiVersion": VERSIONS[KUBELET], "kind": KUBELET, "authentication": {"webhook": {"enabled": False}}, field: value}
    # A socket where nothing listens: with everything right, the kubelet would end there.
    file.write_text(yaml.safe_dump({**given, "containerRuntimeEndpoint": f"unix://{tmp_path}/none.sock"}))
    command = [engine("kubelet"), "--config", str(file), "--root-dir", str(tmp_path), "--cert-dir", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode
    assert said in done.stderr
