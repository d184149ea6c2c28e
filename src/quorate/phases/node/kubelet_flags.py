"""The values of a kubelet's flags, in all the words that its settings hold."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from quorate.errors import Refused

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^${}]*))?\})", re.ASCII)
_FLAG = re.compile(r"(?:(?<![\w-])|(?<=:-))(--?[A-Za-z][\w-]*)(?:(=)(.*))?$", re.ASCII | re.DOTALL)
_BARE = re.compile(r"(?:\$\{\w+(?::?-[^${}]*)?\}|[^;&|<>()\[\]{}'\",])*", re.ASCII)
_SPECIFIERS = {"S": "/var/lib", "E": "/etc", "t": "/run", "C": "/var/cache", "L": "/var/log"}
_SPECIFIERS |= {"p": "kubelet", "N": "kubelet", "n": "kubelet.service"}
_SPECIFIER = re.compile(f"%([{''.join(_SPECIFIERS)}])")
_ENDS = (";", "&", "|", "<", ">")
"""Signs with which a shell ends a command, or its words."""
_MOST_ROUNDS, _MOST_VALUES = 4, 64
"""Variables in variables; and all that a flag can stand for."""


class Flags:
    """Flags as pflag reads them: `--flag value` or `--flag=value`, with dashes or underscores. `folders`: from where relative
    paths are meant. `unknown` makes the error for a value that cannot be known here."""

    def __init__(self, words: Iterable[str], folders: Sequence[str], unknown: Callable[[str], Refused]) -> None:
        read = [_last_assigned(word) for word in words]
        self._words = [word for _, word in read]
        self._variables: dict[str, list[str]] = {}
        for name, value in (pair for assigned, _ in read for pair in assigned):
            # Which of two files counts is not read here, so that both do.
            self._variables.setdefault(name, []).append(value)
        self._folders, self._unknown = folders, unknown

    def texts(self, flag: str) -> list[str]:
        """Returns all values that a flag is given anywhere, also within a longer word, as in `ARGS=(--flag=value` and in a list
        of another language. Raises `Refused` for a value that a shell computes."""
        found: list[str] = []
        for number, word in enumerate(self._words):
            for name, has_value, value in _flags_in(word, self._named):
                if name.replace("_", "-") == flag:
                    found += self._meant_by(flag, value if has_value else "".join(self._words[number + 1 : number + 2]))
        return [one for one in found if one]

    def _named(self, word: str) -> list[str]:
        """Returns a word with the variables replaced that its flag's name may hold: `--$F=value`."""
        return self._replaced(word) if word.startswith("-") and "$" in word.partition("=")[0] else [word]

    def _meant_by(self, flag: str, value: str) -> list[str]:
        """Returns a value, and the same without the signs of a shell, or of another language, behind it."""
        head, _, rest = value.partition(" ")
        if head.endswith(_ENDS) or rest.startswith(("-", *_ENDS)) or _VARIABLE.fullmatch(rest.partition(" ")[0]):
            # In a text of several words the others are no part of it: `--config=FILE --node-ip=${IP}`.
            value = head
        if "`" in value or "$(" in value:
            raise self._unknown(f"{flag} is {value[:80]!r}, which is computed when it is started")
        bare = _BARE.match(value)
        return list(dict.fromkeys([value, bare[0] if bare else value]))

    def paths(self, flag: str) -> list[str]:
        """Returns all paths that a flag is given, from wherever it is meant. Raises as `meant`."""
        return list(dict.fromkeys(path for paths in self.meant(flag) for path in paths))

    def meant(self, flag: str) -> list[list[str]]:
        """Returns for each value of a flag the paths that it may mean: a relative one depends on where the kubelet runs. Raises
        `Refused` for one that holds a variable that is not known."""
        values = [value for text in self.texts(flag) for value in self._resolved(flag, text)]
        return [[posixpath.normpath(posixpath.join(one, value)) for one in self._folders] for value in values]

    def _resolved(self, flag: str, text: str) -> list[str]:
        values = [specified(text)]
        for _ in range(_MOST_ROUNDS):
            values = [made for value in values for made in self._replaced(value)][: _MOST_VALUES + 1]
        if len(values) > _MOST_VALUES or any("$" in one or "%" in one for one in values):
            raise self._unknown(f"{flag} is {text[:80]!r}, which is filled in when it is started")
        return values

    def _replaced(self, value: str) -> list[str]:
        """Returns the text with its first variable that is known replaced, once for each of its values."""
        for match in _VARIABLE.finditer(value):
            known = self._variables.get(match[1] or match[2], [])
            if known := [*known, *([match[3]] if match[3] is not None else [])]:
                return [f"{value[: match.start()]}{one}{value[match.end() :]}" for one in known]
        return [value]


def specified(text: str) -> str:
    """Returns a text with those signs replaced by which systemd means the same folders and names on every host."""
    return _SPECIFIER.sub(lambda match: _SPECIFIERS[match[1]], text)


def _flags_in(word: str, named: Callable[[str], list[str]]) -> Iterator[tuple[str, str, str]]:
    """Yields name, sign and value of the flags that a word ends with: at its beginning, or behind a sign that is part of no
    name."""
    for one in named(word):
        if match := _FLAG.search(one):
            yield match[1], match[2] or "", match[3] or ""


def _last_assigned(word: str) -> tuple[list[tuple[str, str]], str]:
    """Returns what a word assigns, and what is left of it: A=--flag=value assigns A, and is a flag, too."""
    assigned: list[tuple[str, str]] = []
    name, is_assigned, value = word.partition("=")
    while is_assigned and name.removesuffix("+").isidentifier() and len(assigned) < _MOST_ROUNDS:
        assigned.append((name.removesuffix("+"), value))
        word = value
        name, is_assigned, value = value.partition("=")
    return assigned, word
