"""Changes of JSON and YAML that leave most of the text well formed: of types, places, names, depth, and inside of strings."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import yaml

from fuzz import letters

_Path = tuple[Any, ...]
_MOST_PARSED = 1 << 16
_MOST_PLACES = 5000
_NESTED_LEVELS = 3
_UNPARSED = (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, LookupError, OverflowError)
"""What parsers and writers that are not ours raise for texts that are none."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\n]{16,}={0,2}\n?")


def anything(rng: Random) -> Any:
    """A value of any type."""
    return rng.choice(
        (
            None,
            True,
            False,
            0,
            -1,
            1,
            0.5,
            rng.choice((2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400)),
            letters.odd(rng),
            letters.odd(rng),
            [],
            {},
            [[]],
            [None],
            [letters.odd(rng)],
            {"": None},
            {letters.odd(rng): letters.odd(rng)},
            [1, 2, 3, 4],
        )
    )


def paths(value: Any, above: _Path = ()) -> Iterator[_Path]:
    """Where every value of a tree is, the tree itself first."""
    yield above
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield from paths(inner, (*above, key))


def _places(value: Any) -> list[_Path]:
    """Raises ValueError for a tree that aliases made large."""
    found = list(islice(paths(value), _MOST_PLACES + 1))
    if len(found) > _MOST_PLACES:
        raise ValueError("too large")
    return found


def at(value: Any, path: _Path) -> Any:
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: _Path, new: Any) -> Any:
    """The tree with another value at a place; what lies beside it is the same."""
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied


def change(value: Any, rng: Random, other: Any = None, level: int = 0) -> Any:
    """One change somewhere in a tree."""
    place = rng.choice(_places(value))
    old = at(value, place)
    return put(value, place, _changed(old, value, rng, other, level))


def _changed(old: Any, whole: Any, rng: Random, other: Any, level: int) -> Any:
    chance = rng.randrange(10)
    if isinstance(old, str) and chance < 6:
        return _inside(old, rng, level)
    if isinstance(old, dict) and old and chance < 4:
        return _changed_rows(old, rng)
    if isinstance(old, list) and old and chance < 4:
        return _changed_items(old, rng)
    if isinstance(old, int | float) and not isinstance(old, bool) and chance < 3:
        return rng.choice((-old, old * 2, 2**40, 0.5, [old]))
    if chance < 6:
        return _nested(old, rng)
    if chance < 8:
        source = other if other is not None and rng.random() < 0.5 else whole
        return at(source, rng.choice(_places(source)))
    return anything(rng)


def _changed_rows(old: dict[Any, Any], rng: Random) -> dict[Any, Any]:
    key = rng.choice(list(old))
    match rng.randrange(4):
        case 0:
            return {name: value for name, value in old.items() if name != key}
        case 1:
            return {(letters.change_text(str(name), rng) if name == key else name): value for name, value in old.items()}
        case 2:
            second = rng.choice(list(old))
            return {**old, key: old[second], second: old[key]}
        case _:
            return {**old, letters.odd(rng): old[key]}


def _changed_items(old: list[Any], rng: Random) -> list[Any]:
    number = rng.randrange(len(old))
    match rng.randrange(3):
        case 0:
            return old[:number] + old[number + 1 :]
        case 1:
            return old[:number] + [old[number]] * rng.choice((2, 3, 200)) + old[number:]
        case _:
            return [*old[:number], anything(rng), *old[number:]]


def _nested(old: Any, rng: Random) -> Any:
    in_list = rng.random() < 0.5
    for _ in range(rng.choice((1, 1, 2, 7, 9, 39, 41, 101, 400))):
        old = [old] if in_list else {"a": old}
    return old


def _inside(text: str, rng: Random, level: int) -> str:
    """A string may hold a document, or bytes in base64: then what is inside is changed."""
    if level < _NESTED_LEVELS and rng.random() < 0.7:
        if ": " in text and "\n" in text:
            changed = change_yaml(text.encode("utf-8", "replace"), rng, level=level + 1)
            return changed.decode("utf-8", "replace")
        if _BASE64.fullmatch(text):
            try:
                inner = base64.b64decode(text)
            except binascii.Error:
                return letters.change_text(text, rng)
            return base64.b64encode(letters.change_bytes(inner, rng)).decode()
    return letters.change_text(text, rng)


def _parsed_json(content: bytes) -> Any:
    return json.loads(content.decode("utf-8", "replace"))


def change_json(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    if len(content) > _MOST_PARSED or rng.random() < 0.2:
        return _raw(content, rng, other)
    try:
        value = _parsed_json(content)
        changed = change(value, rng, _or_none(_parsed_json, other))
        text = json.dumps(changed, ensure_ascii=rng.random() < 0.5)
    except _UNPARSED:
        return _raw(content, rng, other)
    if rng.random() < 0.1:
        text = _with_escape(text, rng)
    return text.encode("utf-8", "surrogatepass")


def _with_escape(text: str, rng: Random) -> str:
    """An escape inside some string."""
    quotes = [number for number, letter in enumerate(text) if letter == '"']
    if not quotes:
        return text
    place = rng.choice(quotes) + 1
    return text[:place] + rng.choice(letters.HALVES) + text[place:]


def change_yaml(content: bytes, rng: Random, other: bytes = b"", level: int = 0) -> bytes:
    if len(content) > _MOST_PARSED or rng.random() < 0.3:
        return _changed_tokens(content, rng) if rng.random() < 0.5 else _raw(content, rng, other)
    try:
        documents = _parsed_yaml(content)
        spare = _or_none(_parsed_yaml, other)
        number = rng.randrange(len(documents))
        documents[number] = change(documents[number], rng, spare[0] if spare else None, level)
        if rng.random() < 0.05:
            documents.append(documents[number])
        text = _yaml(documents, rng)
    except _UNPARSED:
        return _raw(content, rng, other)
    if rng.random() < 0.05:
        text = _with_escape(text, rng)
    return text.encode("utf-8", "surrogatepass")


def _parsed_yaml(content: bytes) -> list[Any]:
    return list(yaml.load_all(content.decode("utf-8", "replace"), Loader=_Texts))


class _Texts(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Dates stay text."""


_Texts.yaml_implicit_resolvers = {
    letter: [row for row in rows if row[0] != "tag:yaml.org,2002:timestamp"]
    for letter, rows in _Texts.yaml_implicit_resolvers.items()
}


def _yaml(documents: list[Any], rng: Random) -> str:
    """Sometimes as JSON, which is YAML too and holds what PyYAML does not write."""
    if rng.random() < 0.3:
        return "\n---\n".join(json.dumps(document) for document in documents)
    return yaml.safe_dump_all(
        documents, default_flow_style=rng.random() < 0.1, allow_unicode=rng.random() < 0.5, sort_keys=False
    )


_TOKENS = (
    *("!!int ''", "!!float ''", "!!bool x", "!!timestamp x", "!!binary ====", "!!null x", "!!set {x}", "!!str ", "! ", "!x "),
    *(
        "!!python/object/apply:os.system [id]",
        "&a ",
        "&a [*a]",
        "*a",
        "<<: *a",
        "<<: {a: b}",
        "? [a]\n: b",
        "? a",
        "|\n  x",
        ">-\n  x",
    ),
    *(
        "---\n",
        "...\n",
        "%TAG ! x\n",
        "# x\n",
        '"\\ud800"',
        '"\\x00"',
        "'",
        '"',
        "@x",
        "`x`",
        "[a, b",
        "{a: b",
        "{a, b}",
        "\t",
        "0o7",
    ),
    *(
        "1:59:59",
        "0x",
        "0b2",
        "1_",
        "._",
        "+.",
        "1e",
        "12e03",
        "=",
        "~",
        ".inf",
        "-.INF",
        ".NaN",
        "9" * 5000,
        "1" + ":59" * 400,
    ),
)


def _changed_tokens(content: bytes, rng: Random) -> bytes:
    """Something of YAML's own at a value's, a key's or a line's place."""
    text = content.decode("utf-8", "replace")
    places = [match.end() for match in re.finditer(r": |- |\n *", text)] or [0]
    place = rng.choice(places)
    end = text.find("\n", place) if rng.random() < 0.5 else place
    return (text[:place] + rng.choice(_TOKENS) + text[end if end >= 0 else len(text) :]).encode("utf-8", "surrogatepass")


def _raw(content: bytes, rng: Random, other: bytes) -> bytes:
    return letters.change_lines(content, rng, other) if rng.random() < 0.5 else letters.change_bytes(content, rng, other)


def _or_none(read: Any, content: bytes) -> Any:
    try:
        return read(content) if content else None
    except _UNPARSED:
        return None
