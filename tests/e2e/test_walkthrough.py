"""docs/walkthrough.md, every block on the node it names."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from conftest import ROOT

from e2e.kubelab import KubeLab
from e2e.steps import members, ready

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Block:
    node: str
    prints_join: bool
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"```sh (\w+)( prints-join)?\n(.*?)```", (ROOT / "docs" / "walkthrough.md").read_text(), re.DOTALL)
    return [Block(node, bool(join), text) for node, join, text in found]


def test_every_block_of_the_walkthrough_runs(lab: KubeLab) -> None:
    joiners = [["cp2", "cp3"], ["w1"]]
    for block in blocks():
        node = lab.node(block.node)
        done = node.run("sh", "-e", "-c", block.text)
        assert done.returncode == 0, f"{block.text}\n{done.stdout[-2000:]}{done.stderr}"
        if not block.prints_join:
            continue
        for name in joiners.pop(0):
            said = lab.node(name).run("sh", "-e", "-c", done.stdout)
            assert said.returncode == 0, f"{name}: {done.stdout}\n{said.stdout[-2000:]}{said.stderr}"
            ready(lab.node("cp1"), name)
    assert joiners == []
    assert members(lab.node("cp1")) == {"cp1": "voter", "cp2": "voter"}
