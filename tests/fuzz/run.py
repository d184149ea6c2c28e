"""All targets for a time: `python -m fuzz.run --minutes 10 --seed 7`. Ends with 1 when there is a finding, whose input is kept.

The inputs of a seed are the same in every run; a longer run comes further in the same sequence. Where atheris is installed
(it is not required), half of the time goes to its coverage-guided inputs.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from fuzz import guided
from fuzz.judge import Finding, Report, explore
from fuzz.table import TARGETS


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="fuzz.run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for all targets together")
    parser.add_argument("--seed", default="", help="a number; another one each time when none is given")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may be given again")
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="the folder for inputs of findings")
    parser.add_argument("--engine", choices=("all", "own"), default="all", help="own: without atheris")
    given = parser.parse_args(words)
    seed = given.seed or str(SystemRandom().randrange(2**31))
    names = given.target or list(TARGETS)
    with_atheris = given.engine == "all" and importlib.util.find_spec("atheris") is not None
    print(f"seed {seed}, {len(names)} targets, {given.minutes:g} minutes, atheris: {'yes' if with_atheris else 'no'}")
    share = given.minutes * 60 / len(names)
    reports = [_one(name, seed, share, with_atheris=with_atheris) for name in names]
    lines = frozenset[tuple[str, int]]().union(*(report.lines for report in reports))
    findings = [finding for report in reports for finding in report.findings]
    total = sum(report.executions for report in reports)
    print(f"in all: {total} executions, {len(lines)} lines of src/quorate reached, {len(findings)} findings")
    for finding in findings:
        print(f"{finding}\n    kept in {finding.save(given.keep)}")
    return 1 if findings else 0


def _one(name: str, seed: str, seconds: float, *, with_atheris: bool) -> Report:
    began = time.monotonic()
    report = explore(name, seed, seconds / 2 if with_atheris else seconds)
    print(f"{name:18} {_shown(report, time.monotonic() - began)}", flush=True)
    if not with_atheris:
        return report
    further = guided.explore(name, seed, seconds / 2)
    print(f"{'':18} {_shown(further, seconds / 2)} (atheris)", flush=True)
    known = {(one.kind, one.where) for one in report.findings}
    new: list[Finding] = [one for one in further.findings if (one.kind, one.where) not in known]
    return Report(name, report.executions + further.executions, report.lines, (*report.findings, *new))


def _shown(report: Report, seconds: float) -> str:
    reached = f"{len(report.lines):5} lines" if report.lines else " " * 11
    return f"{report.executions:8} executions in {seconds:5.1f} s  {reached}  {len(report.findings)} findings"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
