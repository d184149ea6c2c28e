"""Labs of Kubernetes nodes, each test's its own; and at the end a table of what ran."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.kubelab import KubeLab, kube_lab


@pytest.fixture
def lab() -> Iterator[KubeLab]:
    with kube_lab() as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What ran on real nodes, how it ended, and how long it took; loudly where nothing did."""
    rows = [
        (outcome, report)
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        if report.nodeid.startswith("tests/e2e/") and (report.when == "call" or outcome in ("error", "skipped"))
    ]
    if not rows:
        return
    terminalreporter.section("real Kubernetes nodes")
    for outcome, report in rows:
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        terminalreporter.line(f"{outcome:8} {report.duration:6.1f} s  {name}")
    if all(outcome == "skipped" for outcome, _ in rows):
        terminalreporter.line(f"NOTHING RAN ON REAL NODES: {rows[0][1].longrepr[2]}")
