"""What options and arguments complete to when a shell asks (TAB): files, directories, and words.

A completed word is inserted into the command line of a user, who presses Enter next. Names that others gave, such as those of
members, are therefore completed only when every shell reads them as one plain word: a member may be called `$(reboot)`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Items: TypeAlias = list[CompletionItem[str]]

VARIABLE = "_QUORATE_COMPLETE"
"""Set by the scripts of `quorate completion`: the shell that asks, and what for."""

_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./+-]{0,999}")
Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], Items]"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Ends the process, without an answer, when the block takes longer: a TAB that hangs is worse than one without an answer.
    Neither a lookup of a host name nor a pipe without a writer can be interrupted otherwise."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def files(_ctx: click.Context, _param: click.Parameter, _incomplete: str) -> Items:
    """Has the shell complete the path of a file."""
    return [_left_to_the_shell("file")]


def folders(_ctx: click.Context, _param: click.Parameter, _incomplete: str) -> Items:
    """Has the shell complete the path of a directory."""
    return [_left_to_the_shell("dir")]


def _left_to_the_shell(kind: str) -> CompletionItem[str]:
    from click.shell_completion import CompletionItem

    return CompletionItem("", type=kind)


def is_plain(word: str) -> bool:
    """Returns whether every shell reads the word as one plain word, which is no option either."""
    return _PLAIN.fullmatch(word) is not None


def matching(known: Mapping[str, str], incomplete: str) -> Items:
    """Returns the words that begin with `incomplete` and can be typed as they are; the values explain them."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, help=text) for word, text in known.items() if word.startswith(incomplete) and is_plain(word)]


def matching_last(known: Iterable[str], incomplete: str) -> Items:
    """Returns the same for the last word of a list with commas, without those that the list has already."""
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    done = before.split(",")
    found = matching(dict.fromkeys((word for word in known if word not in done), ""), last)
    return [CompletionItem(f"{before}{comma}{item.value}") for item in found]


def one_of(known: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Returns a completer for one word."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
        return matching(dict.fromkeys(known(ctx), ""), incomplete)

    return complete


def some_of(known: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Returns a completer for a list with commas."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
        return matching_last(known(ctx), incomplete)

    return complete
