"""Takes each safeguard away in a copy of the package and runs the tests that should notice. `make mutants` runs all of them.

Usage: python tests/mutants/run.py [NAME ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mutants.all import MUTANTS
from mutants.mutants import PACKAGE, ROOT, Mutant, problems

WORKERS = 2
MOST_SECONDS = 90.0
_WRONG_PACKAGE = 97
_CHILD = """
import sys
import pytest, quorate
if not quorate.__file__.startswith(sys.argv[1] + "/"):
    sys.exit(97)
sys.exit(pytest.main(sys.argv[2:]))
"""
_OPTIONS = ("-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-o", "timeout=30")

Verdict: TypeAlias = Literal["killed", "survived", "broken"]
"""broken: the tests could not be run, so nothing is known."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant, and what pytest printed."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    output: str

    @property
    def is_fine(self) -> bool:
        return self.verdict == ("survived" if self.mutant.equivalent else "killed")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of src/ in which one mutant at a time is alive; its bytecode is kept, which makes a run three times as fast."""

    folder: Path

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        path = self.folder / "src" / "quorate" / mutant.file
        whole = path.read_text()
        try:
            self._write(path, mutant.applied_to(whole))
            yield
        finally:
            self._write(path, whole)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        # Python tells old bytecode by seconds and size, and two versions of a file may have both in common.
        Path(cache_from_source(str(path))).unlink(missing_ok=True)
        path.write_text(text)

    def pytest(self, tests: Sequence[str]) -> tuple[int, str]:
        """Runs the tests against this copy; returns pytest's exit code and what it printed."""
        files = self.folder / "tmp"
        files.mkdir(exist_ok=True)
        source = self.folder / "src"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "XDG_STATE"))}
        environment = {
            **inherited,
            # The other plugins take half of the time of a child.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(source),
            "TMPDIR": str(files),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(files / "hypothesis"),
        }
        command = [sys.executable, "-c", _CHILD, str(source), *_OPTIONS, *(f"tests/{test}" for test in tests)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=MOST_SECONDS
            )
        except subprocess.TimeoutExpired:
            return -1, f"not within {MOST_SECONDS:g} s"
        return done.returncode, done.stdout + done.stderr


@contextmanager
def copies(count: int) -> Iterator[SimpleQueue[Copy]]:
    """Copies of src/, gone afterwards."""
    free: SimpleQueue[Copy] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="quorate-mutants-") as folder:
        for number in range(count):
            place = Path(folder).resolve() / str(number)
            shutil.copytree(PACKAGE.parent, place / "src")
            free.put(Copy(place))
        yield free


def try_one(copy: Copy, mutant: Mutant) -> Result:
    """Whether the tests of this mutant notice it."""
    began = time.monotonic()
    with copy.changed(mutant):
        code, output = copy.pytest(mutant.tests)
    verdict: Verdict = "killed" if code == 1 else "survived" if code == 0 else "broken"
    if code == _WRONG_PACKAGE:
        output = "the package that was imported is not the copy"
    return Result(mutant, verdict, time.monotonic() - began, output)


def run(mutants: Sequence[Mutant], tell: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Tries every mutant, two at a time; `tell` gets each result in the order of the list."""
    results: list[Result] = []

    def with_a_copy(mutant: Mutant) -> Result:
        copy = free.get()
        try:
            return try_one(copy, mutant)
        finally:
            free.put(copy)

    with copies(WORKERS) as free, ThreadPoolExecutor(WORKERS) as pool:
        for result in pool.map(with_a_copy, mutants):
            results.append(result)
            tell(result)
    return results


def tests_fail_without_a_mutant(mutants: Sequence[Mutant]) -> str:
    """What the tests of these mutants complain of on the code as it is; empty when they pass, without which nothing counts."""
    names = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with copies(1) as free:
        code, output = free.get().pytest(names)
    return "" if code == 0 else output


def describe(result: Result) -> str:
    """One line of the report, and what pytest printed where that matters."""
    excuse = f"  equivalent because {result.mutant.equivalent}" if result.mutant.equivalent else ""
    line = f"{result.verdict:9}{result.seconds:5.1f} s  {result.mutant.name}{excuse}"
    return line if result.is_fine else f"{line}\n    {result.mutant.why}\n{result.output}"


def chosen(names: Sequence[str]) -> list[Mutant]:
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        sys.exit(f"no mutant is named {', '.join(sorted(unknown))}")
    return [mutant for mutant in MUTANTS if not names or mutant.name in names]


def main(names: Sequence[str]) -> int:
    """Returns the exit code: 1 when a mutant survived without a reason, 2 when the list or its tests are broken."""
    wanted, began = chosen(names), time.monotonic()
    wrong = "\n".join(problems(MUTANTS)) or tests_fail_without_a_mutant(wanted)
    if wrong:
        print(wrong)
        return 2
    results = run(wanted, lambda result: print(describe(result), flush=True))
    counts = {verdict: sum(result.verdict == verdict for result in results) for verdict in ("killed", "survived", "broken")}
    excused = sum(result.is_fine and result.verdict == "survived" for result in results)
    print(
        f"{len(results)} mutants in {time.monotonic() - began:.0f} s: {counts['killed']} killed, {counts['survived']} survived"
        f" ({excused} of them with a reason), {counts['broken']} broken"
    )
    return 2 if counts["broken"] else int(not all(result.is_fine for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
