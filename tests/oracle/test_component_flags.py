"""The real components beside the table of their flags."""

from __future__ import annotations

import re
import subprocess

import pytest
from conftest import engine

from quorate.config.component_flags import ETCD, gone, table, unknown

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

BUILT_MINOR = 34
WENT = [
    (component, flag)
    for component, flags in table().items()
    for flag, last in flags.items()
    if component != ETCD and last is not None
]
LISTED = re.compile(r"^\s+(?:-\w, )?--([a-z][\w.-]*)", re.MULTILINE)


def knows(program: str, flag: str) -> bool:
    done = subprocess.run([program, f"--{flag}=x", "--version"], check=False, capture_output=True, text=True)
    said = done.stdout + done.stderr
    return "unknown flag" not in said and "flag provided but not defined" not in said


@pytest.mark.parametrize(("component", "flag"), WENT, ids=[f"{component}-{flag}" for component, flag in WENT])
def test_a_component_lacks_the_flags_that_went_before_it(component: str, flag: str) -> None:
    assert knows(engine(component), flag) == (gone(component, BUILT_MINOR, flag) is None)


@pytest.mark.parametrize("component", ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "etcd-3.6"])
def test_no_flag_of_a_component_is_doubted(component: str) -> None:
    done = subprocess.run([engine(component), "--help"], check=False, capture_output=True, text=True)
    listed = LISTED.findall(done.stdout + done.stderr)
    assert len(listed) > 50
    assert [flag for flag in listed if unknown(component.partition("-3")[0], flag)] == []


@pytest.mark.parametrize("minor", [4, 5, 6, 7])
def test_an_etcd_lacks_the_flags_that_went_before_it(minor: int) -> None:
    for flag in (one for one, last in table()[ETCD].items() if last is not None):
        if gone(ETCD, minor, flag) is not None:
            assert not knows(engine(f"etcd-3.{minor}"), flag), flag
