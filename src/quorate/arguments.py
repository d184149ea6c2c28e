"""The arguments of the library. A wrong type ends in an error that names the argument, not in a traceback from the middle of a
change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache, wraps
from inspect import Signature, isfunction, signature
from types import UnionType
from typing import Any, ParamSpec, TypeVar

from quorate.errors import ConfigError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")
Kind = TypeVar("Kind")

_BY_SHAPE = ("Access", "Runtime", "SystemClock")
"""What programs write classes of their own for: these need the methods, not the class."""
_FUNCTIONS = ("Callable", "Check", "Note", "Remember", "Report", "Start")
_CLASSES: dict[str, type | UnionType] = {"None": type(None), "float": int | float, "int": int}
_IN_WORDS = {
    "None": "None",
    "PathLike": "a path",
    "bool": "True or False",
    "float": "a number",
    "int": "a number",
    "str": "text",
}


def checked(kind: type[Kind]) -> type[Kind]:
    """Returns the class, whose constructor and public methods check their arguments: for a decorator above `dataclass`."""
    for name, method in list(vars(kind).items()):
        if isfunction(method) and (name == "__init__" or not name.startswith("_")):
            setattr(kind, name, checking(method))
    return kind


def checking(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Returns the function, which raises `ConfigError` for an argument that is not what its annotation says."""

    @wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        _check(function, args, kwargs)
        return function(*args, **kwargs)

    return call


@cache
def _signature(function: Callable[..., object]) -> Signature:
    # At the first call: start-up does not pay for it.
    return signature(function)


def _check(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, Any]) -> None:
    shape = _signature(function)
    try:
        given = shape.bind(*args, **kwargs).arguments
    except TypeError:
        return  # A wrong number of arguments: the call itself raises Python's own error for it.
    for name, value in given.items():
        note = shape.parameters[name].annotation
        # With `from __future__ import annotations` each is text, and nothing is imported to read it; `self` has none.
        problem = _problem(name, value, note) if isinstance(note, str) else ""
        if problem:
            raise ConfigError(problem, state="nothing was changed")


def _problem(name: str, value: object, note: str) -> str:
    """Returns why `value` is not what the annotation `note` says; empty when it is. The value may be a secret: only its type is
    shown."""
    kinds = [note] if note.startswith("Callable") else note.split(" | ")
    if any(_fits(value, kind) for kind in kinds):
        return next(filter(None, (_in_list(name, value, kind) for kind in kinds)), "")
    *others, last = map(_in_words, kinds)
    wanted = f"{', '.join(others)} or {last}" if others else last
    parts = _parts(value) if isinstance(value, str) and _item(note) else ""
    return f"{name} must be {wanted}, not {_in_words(type(value).__name__, short=True)}{parts}"


def _parts(text: str) -> str:
    """Returns the list that was probably meant by a text; empty where it may hold a password. A str is a sequence of str, so a
    type checker accepts it."""
    return "" if "@" in text else f": {[one.strip() for one in text.split(',')]}"


def _in_list(name: str, value: object, kind: str) -> str:
    """Returns the problem with the first item of a list that has one. An iterator is not read: it can be read once only."""
    if not _item(kind) or not isinstance(value, Collection):
        return ""
    return next(filter(None, (_problem(f"{name}[{at}]", one, _item(kind)) for at, one in enumerate(value))), "")


def _item(kind: str) -> str:
    """Returns the annotation of the items of a list; empty for anything else."""
    outer, _, inner = kind.partition("[")
    return inner.removesuffix("]").removesuffix(", ...") if outer in ("Sequence", "tuple") else ""


def _fits(value: object, kind: str) -> bool:
    if _item(kind):
        return isinstance(value, Iterable) and not isinstance(value, str | bytes)
    name = _name(kind)
    if name == "Literal":
        return value in _choices(kind)
    if name in _FUNCTIONS:
        return callable(value)
    if name == "PathLike":
        return hasattr(value, "__fspath__")
    if name in _CLASSES:
        # In Python True is a number, too.
        return isinstance(value, _CLASSES[name]) and not isinstance(value, bool)
    return name in _BY_SHAPE or any(base.__name__ == name for base in type(value).__mro__)


def _choices(kind: str) -> list[str]:
    """Returns the texts of a `Literal`."""
    return [one.strip("\"' ") for one in kind.partition("[")[2].removesuffix("]").split(",")]


def _name(kind: str) -> str:
    """Returns the name of the class: without its module, and without what is in brackets."""
    return kind.partition("[")[0].rpartition(".")[2]


def _in_words(kind: str, *, short: bool = False) -> str:
    if _item(kind):
        return f"a list of {_in_words(_item(kind), short=True)}"
    name = _name(kind)
    if name == "Literal":
        return " or ".join(map(repr, _choices(kind)))
    if name in _FUNCTIONS:
        return "a function"
    if short:
        return "text" if name == "str" else "None" if name == "NoneType" else name
    return _IN_WORDS.get(name, f"a {name}")
