"""The examples of docs/library.md run as they stand, on a real cluster."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from conftest import ROOT

import quorate
from quorate.local import cluster
from quorate.local.home import Home

pytestmark = pytest.mark.real


def test_every_example_of_the_document_runs(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    pki = home.layout.pki
    names = {
        "ENDPOINTS": [str(seed) for seed in home.seeds()],
        "CA": pki / "ca.crt",
        "CERT": pki / "healthcheck-client.crt",
        "KEY": pki / "healthcheck-client.key",
    }
    blocks = [part.partition("```")[0] for part in (ROOT / "docs/library.md").read_text().split("```python\n")[1:]]
    assert len(blocks) == 6
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks:
            exec(block, dict(names))
    assert "steps taken: 0" in printed.getvalue()
    assert re.search(r"may still fail: 1 lag in seconds: \{('m\d': [\d.]+(, )?){3}\}", printed.getvalue())
    assert "voters: 3" in printed.getvalue() and "healthy: True" in printed.getvalue()
    assert re.search(r"^info: moving leadership from m\d to m\d$", printed.getvalue(), re.MULTILINE)
    assert "refused: 0 voters could fail then, instead of 1" in printed.getvalue()


def test_the_public_names_are_what_is_promised() -> None:
    assert set(quorate.__all__) == {"__version__", *quorate._HOMES}
    assert all(getattr(quorate, name) for name in quorate.__all__)
    with pytest.raises(AttributeError):
        _ = quorate.nonsense
