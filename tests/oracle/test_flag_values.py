"""The real components beside what is said of the values of their flags."""

from __future__ import annotations

import subprocess

import pytest
from conftest import engine

from quorate.config.component_flags import ETCD, gone
from quorate.config.flag_values import refused, types

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

MINOR = 34
REFUSALS = (
    "invalid argument",
    "parse error",
    "out of range",
    "invalid boolean value",
    "feature gate",
    "bool value",
    "invalid value of",
)
VALUES = {
    "bool": ("true", "T", "0", "maybe", "yes", "", "TrUe", " true"),
    "int32": ("-1", "0x10", "017", "0o17", "1_000", "2147483648", "1e2", "", "09", "+5", "1.0"),
    "int64": ("-1", "0b11", "9223372036854775808", "x", " 1"),
    "uint": ("1", "-1", "+1", "0x1", "1_0", "18446744073709551616"),
    "float32": ("1", "0.5", "1e3", "inf", "x", "1_0", "0x1p-2"),
    "float64": ("1", "0.5", ".5", "5.", "x", ""),
    "duration": ("10s", "1h30m", "0", "10", "-1s", "1d", ""),
    "ip": ("10.0.0.1", "010.0.0.1", "::", "fe80::1%eth0", "localhost", "10.0.0.0/8", " 10.0.0.1", ""),
    "ip-with-zeros": ("10.0.0.1", "010.0.0.1", "::", "localhost", " 10.0.0.1", ""),
    "level": ("2", "-1", "abc", "0x3", "2147483647", "2147483648", "+1", ""),
    "gates": (
        *("AllAlpha=true", "NoSuch=true", "KubeletTracing=false", "KubeletTracing", "AllAlpha=maybe", ""),
        *("AllAlpha=true,AllBeta=false", "AllAlpha=true,"),
    ),
}
ROWS = [
    (component, kind, next(flag for flag, one in flags.items() if one == kind and not gone(component, MINOR, flag)))
    for component, flags in types().items()
    if component != ETCD
    for kind in sorted(set(flags.values()))
] + [
    (ETCD, kind, flag)
    for kind, flag in (("bool", "enable-pprof"), ("uint", "snapshot-count"), ("duration", "raft-read-timeout"))
]


def ends(component: str, flag: str, value: str) -> bool:
    program = engine("etcd-3.6" if component == ETCD else component)
    done = subprocess.run([program, f"--{flag}={value}", "--version"], check=False, capture_output=True, text=True, timeout=60)
    return any(text in done.stderr for text in REFUSALS) and done.returncode != 0


@pytest.mark.parametrize(("component", "kind", "flag"), ROWS)
def test_a_component_ends_with_the_values_that_are_refused(component: str, kind: str, flag: str) -> None:
    # The kubelet looks at its gates after --version was answered.
    later = component == "kubelet" and kind == "gates"
    for value in VALUES[kind]:
        if not later or "=true" not in value:
            wanted = bool(list(refused(component, None if later else MINOR, flag, value)))
            assert ends(component, flag, value) == wanted, (flag, value)
