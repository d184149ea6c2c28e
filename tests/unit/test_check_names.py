"""Names in --ignore-preflight-errors: kubeadm takes any word, so a mistyped one is warned of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quorate.preflight.names import CHECKS, FAMILIES, doubts

SRC = Path(__file__).resolve().parents[2] / "src" / "quorate"


@pytest.mark.parametrize("name", ["all", "none", "swap", "Swap", "Port-6443", "fileavailable--etc-kubernetes-kubelet.conf"])
def test_a_known_name_is_no_doubt(name: str) -> None:
    assert doubts([name]) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Swapp", "Swap"), ("numcpus", "NumCPU"), ("Prt-6443", "Port-6443"), ("fileexist-tc", "FileExisting-tc")],
)
def test_a_mistyped_name_is_warned_of(name: str, meant: str) -> None:
    assert doubts(["Swap", name]) == [
        f"no preflight check is called {name}, so that nothing is ignored by it: did you mean {meant}?"
    ]


def test_what_is_like_nothing_is_named_too() -> None:
    assert doubts(["zzz"]) == ["no preflight check is called zzz, so that nothing is ignored by it"]


def test_every_check_is_known() -> None:
    """The names as the checks spell them in our own code."""
    files = [*(SRC / "preflight").glob("*.py"), SRC / "phases/node/checks.py", SRC / "phases/join/checks.py"]
    text = "\n".join(path.read_text() for path in files if path.name != "names.py")
    named = set(re.findall(r'(?:Finding|_error|_warning|level)\(\s*f?"([A-Z][A-Za-z-]*)', text))
    assert len(named) > 20
    assert sorted(named - {*CHECKS, *FAMILIES}) == []
