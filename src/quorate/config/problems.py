"""The problems of a configuration: all at once, each with its file, line and field path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from quorate.errors import ConfigError

_MOST_SHOWN = 50


class Problem(Struct, frozen=True):
    """One problem. `path`: as kubeadm writes it, such as networking.serviceSubnet or bootstrapTokens[0].token. `line`: from 1,
    or 0 when the value did not come from the file. `text`: never holds a secret. `code`: unknown-field for a field that no
    version of the kind has, invalid for all else. `is_read`: the value was taken as it was meant, so that rules hold for it.
    `is_unquoted`: it was meant as a text, and lacks quotes."""

    path: str
    text: str
    line: int = 0
    code: Literal["invalid", "unknown-field"] = "invalid"
    is_read: bool = False
    is_unquoted: bool = False


class Problems(Struct):
    """The problems that were found so far in a file."""

    source: str
    found: list[Problem] = []

    def add(self, path: str, text: str, line: int = 0) -> None:
        self.found.append(Problem(path, text, line))

    def add_meant(self, path: str, text: str, line: int, *, is_unquoted: bool) -> None:
        """Adds a value of the wrong type whose meaning is certain, and taken for what follows."""
        self.found.append(Problem(path, text, line, is_read=True, is_unquoted=is_unquoted))

    def add_unknown(self, path: str, text: str, line: int) -> None:
        """Adds a field that there is not; whoever reads another's document may take it for a warning."""
        self.found.append(Problem(path, text, line, "unknown-field"))

    def raise_if_any(self) -> None:
        """Raises `InvalidConfig` when there are problems."""
        if self.found:
            raise InvalidConfig(self.source, self.found)


def rows_of(problems: Iterable[Problem]) -> list[dict[str, object]]:
    """Returns the problems as `-o json` shows them."""
    return [{"path": one.path, "line": one.line, "text": one.text, "code": one.code} for one in problems]


class InvalidConfig(ConfigError):
    """A configuration file is wrong; `problems` has every problem as a value."""

    code = "config"

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(
            "\n       ".join(self.lines()),
            state="nothing was changed",
            advice="correct what is named, then run the same command again",
        )

    def lines(self) -> list[str]:
        """Returns one line for each of the first 50 problems, and the number of further ones."""
        lines = [describe(self.source, problem) for problem in self.problems[:_MOST_SHOWN]]
        more = len(self.problems) - _MOST_SHOWN
        return [*lines, f"… and {more} more"] if more > 0 else lines

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "problems": rows_of(self.problems)}


def describe(source: str, problem: Problem) -> str:
    """Returns a problem as FILE:LINE: PATH: TEXT."""
    place = f"{source}:{problem.line}" if problem.line else source
    return f"{place}: {problem.path}: {problem.text}" if problem.path else f"{place}: {problem.text}"
