"""Labs of Kubernetes nodes; each test's nodes are its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.kubelab import KubeLab, kube_lab


@pytest.fixture
def lab() -> Iterator[KubeLab]:
    with kube_lab() as made:
        yield made
