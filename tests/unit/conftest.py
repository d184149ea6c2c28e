"""What tests of phases share."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubeadm_cases import context_of, setup_of

from quorate.phases.base.context import Context


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Of a first node, whose files lie in the test's folder."""
    return context_of(setup_of(), tmp_path)
