"""Every test here sees its own processes alone."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_processes(only_own_processes: None) -> None:
    """Uses `only_own_processes`."""
