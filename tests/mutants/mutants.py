"""Safeguards of the engine, each as the one edit that takes it away, with the tests that notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "quorate"
MOST_EXCUSED = 3


@dataclass(frozen=True, slots=True)
class Mutant:
    """One safeguard taken away. `file` below src/quorate; `before` is the text of exactly one place in it, `after` what stands
    there instead. `tests` are pytest's names below tests/; `why`: what the safeguard is there for. `equivalent` is the reason
    why no test can tell the difference, where there is one."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    why: str
    equivalent: str = ""

    def applied_to(self, text: str) -> str:
        """The text of the file without the safeguard; raises `ValueError` unless there is exactly one such place."""
        count = text.count(self.before)
        if count != 1:
            raise ValueError(f"{self.name}: the text to replace occurs {count} times in {self.file}")
        return text.replace(self.before, self.after)


def problems(mutants: Sequence[Mutant]) -> Iterator[str]:
    """What is wrong with the list itself: without this it would rot in silence when the code moves."""
    for name, count in Counter(mutant.name for mutant in mutants).items():
        if count > 1:
            yield f"{name}: {count} mutants of that name"
    if sum(bool(mutant.equivalent) for mutant in mutants) > MOST_EXCUSED:
        yield f"more than {MOST_EXCUSED} mutants are called equivalent"
    for mutant in mutants:
        yield from _problems_of(mutant)


def _problems_of(mutant: Mutant) -> Iterator[str]:
    try:
        changed = mutant.applied_to((PACKAGE / mutant.file).read_text())
        compile(changed, mutant.file, "exec")
    except (OSError, ValueError, SyntaxError) as error:
        yield f"{mutant.name}: {error}"
    if mutant.before == mutant.after:
        yield f"{mutant.name}: nothing is changed"
    if not mutant.tests:
        yield f"{mutant.name}: no test is named"
    for test in mutant.tests:
        path, _, function = test.partition("::")
        if not (ROOT / "tests" / path).is_file():
            yield f"{mutant.name}: there is no {path}"
        elif f"def {function.partition('[')[0]}(" not in (ROOT / "tests" / path).read_text():
            yield f"{mutant.name}: there is no {test}"
