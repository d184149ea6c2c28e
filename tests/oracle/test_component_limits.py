"""The real kubelet and kube-proxy beside the table of the values that they refuse."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import engine

from quorate.config.component_fields import fields_of
from quorate.config.component_limits import LIMITS, Bounds, refused
from quorate.config.components import KUBELET, PROXY, VERSIONS

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

MINOR = 34
PROGRAMS = {KUBELET: "kubelet", PROXY: "kube-proxy"}
ALWAYS_WRONG: dict[str, dict[str, Any]] = {
    KUBELET: {"maxOpenFiles": -1, "featureGates": {"KubeletEnsureSecretPulledImages": True}},
    PROXY: {"configSyncPeriod": "-1s"},
}
"""So that no component starts: all that is wrong is reported together."""
LATER = (
    *("cpuManagerPolicy", "memoryManagerPolicy", "configMapAndSecretChangeDetectionStrategy"),
    *("authorization.mode", "tlsCipherSuites[]", "tlsMinVersion", "registerWithTaints[].effect"),
)
"""Refused by managers, which start after the container runtime answered; and what test_component_rules.py tries."""
ROWS = [
    (kind, path)
    for kind, rows in LIMITS.items()
    for path in rows
    if path.removesuffix("[]") in fields_of(kind, MINOR) and path not in LATER and path not in ALWAYS_WRONG[kind]
]


def complaints(kind: str, path: str, value: object, folder: Path) -> str:
    document: dict[str, Any] = {"apiVersion": VERSIONS[kind], "kind": kind, **ALWAYS_WRONG[kind]}
    *above, last = path.split(".")
    inner = document
    for part in above:
        inner = inner.setdefault(part, {})
    inner[last.removesuffix("[]")] = [value] if last.endswith("[]") else value
    file = folder / "c.yaml"
    file.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [engine(PROGRAMS[kind]), "--config", str(file)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and ("validate" in done.stderr or "initialize logging" in done.stderr), done.stderr
    return done.stderr.lower()


def outside(kind: str, path: str, limit: Bounds) -> list[object]:
    """The nearest values that are refused; a zero that Go cannot tell from nothing is not."""
    if isinstance(limit.least, str) or isinstance(limit.most, str):
        return ["1us"]
    found = [math.ceil(limit.least) - 1, *([int(limit.most) + 1] if limit.most != math.inf else [])]
    return [one or (0 if fields_of(kind, MINOR)[path].optional else -1) for one in found]


def inside(limit: Bounds) -> list[object]:
    if isinstance(limit.least, str) or isinstance(limit.most, str):
        return [limit.least]
    return [math.ceil(limit.least), *([int(limit.most)] if limit.most != math.inf else [])]


@pytest.mark.parametrize(("kind", "path"), ROWS)
def test_a_component_refuses_what_the_table_refuses_and_takes_what_it_takes(kind: str, path: str, tmp_path: Path) -> None:
    limit = LIMITS[kind][path]
    if isinstance(limit, Bounds):
        good, bad = inside(limit), outside(kind, path, limit)
    else:
        (words,) = [one.words for one in limit if one.since <= MINOR <= one.until]
        good, bad = list(words), ["nonsense"]
    name = path.rpartition(".")[2].removesuffix("[]").lower()
    for value in bad:
        assert refused(kind, MINOR, path, value), value
        assert name in complaints(kind, path, value, tmp_path), value
    for value in good:
        assert not refused(kind, MINOR, path, value), value
        # Other fields, and feature gates, have a say too.
        said = [part for part in complaints(kind, path, value, tmp_path).split("invalid") if name in part]
        assert not [one for one in said if not any(word in one for word in BY_OTHERS)], value


BY_OTHERS = ("must be less than", "requires feature gate", "must be specified when", "may not contain", "must be set to true")
