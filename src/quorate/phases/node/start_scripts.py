"""The scripts that start a program: those that a command names, those that they take in, and those that they start."""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from quorate.errors import HostError, Refused
from quorate.foreign.local_files import regular
from quorate.foreign.unit_words import joined, words_of
from quorate.tree import Tree

_SOURCED = re.compile(
    r"(?:^|[;&|({!\"']|\b(?:then|do|if|else|elif|while|until|builtin|command)\b)[ \t]*(?:\.|source)[ \t]+([^\s;&|)}]+)",
    re.MULTILINE,
)
_SAYS = r"echo|printf(?![ \t]+-v)|logger|crictl|ctr|nerdctl|kubectl|etcdctl|journalctl"
_FUNCTIONS_SAY = r"log\w*|warn\w*|die"
_ITS_WORDS = re.compile(r"\$\{?[@*]")
"""A function of a script that does more with its words than to say them, such as `log_and_run`, may run them."""


def _only_said(names: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:^|(?<=[;&|({{\"']))[ \t]*(?:{names})[ \t]"
        r"(?:[^;&|\n)>`$]|\$(?!\()){0,500}(?=[;&)\n]|\|\||$)"
        r"|[ \t]#[^\n\"'`]*(?=\n|$)",
        re.MULTILINE | re.ASCII,
    )


_SAID, _SAID_BY_FUNCTIONS = _only_said(_SAYS), _only_said(f"{_SAYS}|{_FUNCTIONS_SAY}")
"""What a script only says, and what it asks other programs, may read like a command or a setting: `echo "usage: --config=X"`.
What it says to a file or to another program may be run."""

_KUBELETS = re.compile(r"(?:^|(?<=[\s/\"']))kubelet((?:[ \t]+[^\s;&|]+)+)", re.ASCII)

_OF_DISTRIBUTION = ("/etc/profile", "/lib/lsb/init-functions", "/etc/init.d/functions", "/etc/rc.d/init.d/functions")
"""Each takes in files that it finds by a pattern, and is found in every init script."""

_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh", "env", "exec", "python", "python3", "perl"})
_HEAD_OF_COMMAND = "@-:+!|"
_MOST_BYTES, _MOST_NESTED, _MOST_FILES = 1 << 18, 4, 200
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EINVAL)
Unknown = Callable[[str], Refused]


@dataclass(slots=True)
class Scripts:
    """Reads scripts of one node, each once. `folders`: where relative paths are meant from. `unknown`: makes the error for what
    nobody has looked at."""

    tree: Tree
    folders: Sequence[str]
    unknown: Unknown
    _read: set[str] = field(default_factory=set[str])

    def of_command(self, command: str) -> Iterator[str]:
        """Yields the words of a command, and of each script that it names: a shell may get it as a word, and a wrapper may have
        the name of the program itself. Raises `HostError`, and what `unknown` makes."""
        words = words_of(command.lstrip(_HEAD_OF_COMMAND))
        yield from words
        if words and any(sign in words[0] for sign in "$%"):
            raise self.unknown(f"what starts it is {words[0][:80]!r}, which is filled in")
        self._refuse_computed(command)
        yield from self._named_by(words, _MOST_NESTED)
        yield from self._taken_in(command, _MOST_NESTED)

    def of_file(self, path: str, deepest: int = _MOST_NESTED) -> Iterator[str]:
        """Yields the words of a script, and of those that it names; none of a program."""
        content = self._content(path)
        if content is None or b"\0" in content or path in self._read:
            return
        if deepest < 0:
            raise self.unknown(f"{path} is started by scripts that start scripts in turn, deeper than is read")
        self._read.add(path)
        if len(content) > _MOST_BYTES or len(self._read) > _MOST_FILES:
            raise HostError(f"{path} is too large for a script that starts the kubelet")
        text = _unsaid(joined(content.decode(errors="replace"), comments=("#",)))
        self._refuse_computed(text)
        words = words_of(text)
        yield from words
        if path not in _OF_DISTRIBUTION:
            yield from self._named_by(words, deepest - 1)
            yield from self._taken_in(text, deepest - 1)

    def _refuse_computed(self, text: str) -> None:
        """Raises where words of a kubelet are made by a command. One that is the value of a flag is judged with that flag."""
        for match in _KUBELETS.finditer(text):
            for before, word in pairwise(["", *match[1].split()]):
                if word.lstrip("\"'").startswith(("$(", "`")) and (not before.startswith("-") or "=" in before):
                    raise self.unknown(f"the kubelet is given {word[:80]!r}, which is computed when it is started")

    def _content(self, path: str) -> bytes | None:
        """Returns the beginning of a regular file; None for anything else, such as a socket, and where there is none. Raises
        `HostError` where it cannot be read."""
        try:
            with regular(self.tree.at(path)) as file:
                return file.read(_MOST_BYTES + 1)
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise HostError(f"cannot read {path}: {error.strerror}") from error

    def _named_by(self, words: Sequence[str], deepest: int) -> Iterator[str]:
        is_given_to_shell = False
        for number, (before, word) in enumerate(pairwise(["", *words])):
            # Behind its own options, too: `bash -x FILE`. Behind `-c` it is given a text.
            is_option = before.startswith("-") and not before.endswith("c")
            is_given_to_shell = posixpath.basename(before) in _SHELLS or (is_given_to_shell and is_option)
            if word.startswith("-") or "=" in word:
                continue
            if is_given_to_shell and "$" in word and "/" in word:
                raise self.unknown(f"a shell is given {word[:80]!r}, which is filled in when it is started")
            for path in self._meant(word, by_name=number == 0 or is_given_to_shell):
                # A log or a list that a command names is none; what a shell is given needs no first line.
                if is_given_to_shell or (self._content(path) or b"").startswith(b"#!"):
                    yield from self.of_file(path, deepest)

    def _meant(self, word: str, *, by_name: bool) -> list[str]:
        """Returns where a word may lead: below the folders that relative ones are meant from, and, for what is run, those in
        which programs are looked for."""
        if word.startswith("/"):
            return [posixpath.normpath(word)]
        if "/" not in word and not by_name:
            return []
        folders = [*self.folders, *(_PATH if "/" not in word else ())]
        return [posixpath.normpath(f"{folder}/{word}") for folder in folders]

    def _taken_in(self, text: str, deepest: int) -> Iterator[str]:
        """Yields the words of the files that a script takes in (`. FILE`)."""
        for match in _SOURCED.finditer(_unsaid(text)):
            name = "".join(words_of(match[1])[:1])
            if "$" in name or ("/" in name and not name.startswith("/")) or deepest < 0:
                raise self.unknown(f"what starts it takes in {name[:80]!r}")
            for path in self._meant(name, by_name=True):
                yield from self.of_file(path, deepest)


def _unsaid(text: str) -> str:
    """Returns a script without what it only says."""
    less = _SAID.sub("", text)
    return less if _ITS_WORDS.search(less) else _SAID_BY_FUNCTIONS.sub("", text)
