"""What may do harm has few places: whatever starts a program, writes, deletes, prints, loads, connects or matches expressions
is in these tables, each with its reason. What does it no more has to leave them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import pytest
from conftest import ROOT

FOLDER = ROOT / "src" / "quorate"
BUILT_IN = frozenset({"print", "input", "open", "eval", "exec", "compile", "__import__"})
GENERATED = frozenset({"etcd/client/wire_pb2.py", "host/cri_pb2.py"})

PROGRAMS = {
    "host/process.py": "starts the etcd of a member, in a session of its own, with a list of words and no shell",
    "host/programs.py": "runs every other program: for a limited time, with a short list of variables",
}
WRITES = {
    "cli/common/log_handlers.py": "lines at the end of the file of --log-file, which `open_log` has opened",
    "cli/common/named_files.py": "a device, a pipe or a descriptor that the user named; files go through a tree",
    "cli/common/help_format.py": "write_text of click's formatter, which keeps a help in memory",
    "cli/common/output.py": "what was lost on a closed pipe goes to /dev/null",
    "foreign/writing.py": "a piece, into an open file of its caller: the whole may be larger than memory",
    "backup/spool.py": "a file without a name, for what is packed or sent",
    "host/work_folder.py": "a new file for us alone, in a folder that was made for it",
    "phases/node/keys_bundle.py": "a tar in memory",
    "exchanging.py": "what a file displaces, once more, where a file system has neither exchanges nor links",
    "files.py": "write_atomic: what every other file is written with",
    "foreign/aside.py": "the file beside its place that write_atomic then renames",
    "foreign/inside.py": "opens names for a tree, with the flags of its caller, never through a link",
    "host/disk.py": "the time of an fsync is measured on a file without a name",
    "host/lock.py": "a lock is held on an open file, which tells who holds it",
    "host/ports.py": "the lock over the reservations of ports",
    "host/process.py": "the log of a member, appended to",
    "host/programs.py": "the output of a program, in files without a name: a pipe could fill up",
    "offline/commit_record.py": "one record behind a log, of a copy that was made for it",
    "phases/recover/programs.py": "the programs of a container that is about to end, for the time of the recovery",
    "recovery/distil.py": "a copy of a survivor, and its database with a digest, piece by piece: larger than memory",
    "journal.py": "written in place, into room that was reserved",
    "tls_pair.py": "a key in memory, for OpenSSL, which reads certificates from files only",
}
DELETES = {
    "phases/recover/programs.py": "the copy of a program gets its name when it is whole",
    "recovery/distil.py": "a copy of a survivor that was made here; the sealed database gets its name when it is whole",
    "recovery/fence.py": "the note beside data that has its name back",
    "recovery/recover.py": "the snapshot of a survivor gets its name when it is whole",
    "recovery/progress.py": "the notes of a recovery that was undone, or lost again, get another name",
    "recovery/unit_hold.py": "the folder of a service's drop-ins, once it is empty",
    "recovery/restore.py": "an empty data directory, whose name the one gets that was built",
    "host/work_folder.py": "the folders that it has made, and those of killed runs before",
    "backup/folder.py": "a file that did not get its name, and what a keep rule does not keep",
    "exchanging.py": "files of ours that get their places, what they displace, and its way back",
    "files.py": "what write_atomic left when it failed, and remove_file, one file that is ours",
    "foreign/aside.py": "one file that was looked at, and what killed runs have left beside their files",
    "foreign/deletion.py": "the one deletion of folders: it stays below its folder and on its mount",
    "foreign/kernel.py": "a rename that replaces nothing, where the file system has only links",
    "foreign/taking.py": "what is in a folder is taken away, looked at, and deleted by foreign/deletion.py",
    "local/runtime.py": "the log of a member takes the place of the one before it",
    "local/cluster.py": "the folder of a local cluster, only when it is empty",
}
EXITS = {
    "cli/etcd/login.py": "asks for a password on a terminal",
    "cli/kubeadm/reset.py": "asks whether the reset is meant, in our own words",
    "cli/common/output.py": "the exit for all text; the last words of a process that is to end go to 2 directly",
    "cli/etcd/watch.py": "the display of rich that redraws the lines of watch_screen.py",
    "cli/etcd/watch_screen.py": "lines of rich, drawn by the exit's own rule",
    "cli/common/terminal.py": "asks what a terminal shows; makes rich's console, for lines drawn by the exit's own rule",
    "cli/common/progress.py": "lines of rich, drawn by the exit's own rule",
}
LOADERS = {
    "foreign/documents.py": "the one loader: bytes, depth, values and aliases are counted",
    "foreign/json_keys.py": "looks for keys that are there twice, in at most a megabyte; nothing that it builds is used",
}
CONNECTIONS = {
    "recovery/twin.py": "the metrics of an etcd that was started on data of ours, by a socket in its folder",
    "host/sock_diag.py": "asks the kernel by netlink what the TCP connections of this host have carried",
    "etcd/observation/endpoint_check.py": "an endpoint that gave no answer is dialled once more, to tell what is there",
    "etcd/client/channel.py": "gRPC to a member",
    "etcd/observation/diagnose.py": "whether a port answers, and its certificate: nothing is read",
    "foreign/http.py": "the one HTTP client: one deadline, raw bytes counted",
    "host/cri.py": "gRPC to the container runtime of this host, by its socket",
    "host/notify.py": "what a service tells systemd, at the socket that systemd names",
    "host/facts.py": "a datagram socket that sends nothing: which address is that of the default route",
    "host/ports.py": "whether a port is free",
}
EXPRESSIONS = {
    "backup/manifest.py": "single runs with stated lengths, matched whole",
    "cli/common/completion.py": "one run with a stated length, matched whole",
    "cli/common/go_flags.py": "our own arguments",
    "cli/common/help_format.py": "our own help texts",
    "cli/common/shells.py": "single runs, matched whole or from the beginning",
    "cli/etcd/host_options.py": "names with a stated length, matched whole",
    "host/units.py": "a name with a stated length, matched whole",
    "cli/kubeadm/overlay.py": "our own arguments; it looks ahead over one run of letters",
    "config/api_changes.py": "paths of our own fields; one run of digits",
    "config/duration.py": "quadratic on digits, so its text is cut to a length before",
    "config/etcd_image.py": "the tag of an image: from its beginning, no two of its parts can match the same text",
    "config/explain.py": "digits between brackets",
    "config/flag_values.py": "single runs, matched whole",
    "config/kubelet_rules.py": "matched whole; runs of digits with a sign between, and a name that is measured before",
    "config/labels.py": "a name that is measured before, matched whole",
    "config/quantity.py": "matched whole, over a text that is cut",
    "config/render.py": "a scalar of ours, matched whole; no two of its parts can match the same text",
    "config/rules.py": "labels with stated lengths, matched whole",
    "config/times.py": "a time, matched whole; one run of digits",
    "config/versions.py": "matched whole; no two of its parts can match the same text",
    "core/ids.py": "one run, over a text that is cut, matched whole",
    "core/new_member.py": "one run with a stated length",
    "core/retention.py": "a number and a letter, matched whole",
    "core/versions.py": "runs with stated lengths, over a text that is cut",
    "etcd/client/metrics.py": "a name of ours and one run with a stated length, once for each line",
    "foreign/addresses.py": "single runs of hex digits",
    "foreign/mounts.py": "four letters",
    "foreign/resolve.py": "one run, matched whole",
    "foreign/scalars.py": "matched whole, over a text that is cut; no two of its parts can match the same text",
    "foreign/unit_words.py": "stated lengths",
    "foreign/urls.py": "matched whole, or a scheme at the beginning; no two of its parts can match the same text",
    "host/addresses.py": "single runs, over what the kernel lists",
    "host/facts.py": "runs with stated lengths, over a text that is cut",
    "host/last_words.py": "words, without a repeat",
    "host/named_files.py": "single runs of signs, and a flag at the beginning of a word",
    "host/running_etcds.py": "stated lengths behind any text, matched whole",
    "kube/tokens.py": "one run with a stated length, matched whole",
    "offline/keys.py": "stated lengths, from the beginning",
    "offline/raft_snapshot.py": "names of files with stated lengths, matched whole",
    "offline/wal.py": "names of files with stated lengths, matched whole",
    "phases/node/etcd_manifest.py": "one run between brackets, which it cannot hold itself",
    "phases/node/etcd_signs.py": "single runs that begin after what they cannot hold",
    "phases/node/kubelet_flags.py": "a name behind its sign",
    "phases/node/start_scripts.py": "runs that begin behind what they cannot hold, and end at what they cannot hold",
    "recovery/twin.py": "a line of metrics, and a run of digits",
    "recovery/restore.py": "stated lengths, matched whole",
    "host/work_folder.py": "eight letters, matched whole",
    "backup/objects.py": "a scheme at the beginning",
}


DIGITS = {
    "foreign/numbers.py": "the one place for digits of others: ASCII is asked for first",
}


@dataclass(frozen=True, slots=True)
class Use:
    """A call, or another use of a name, in a module."""

    module: str
    line: int
    name: str


def _name(node: ast.expr) -> str:
    """`os.path.join` as it is written; the parts that are no names are left out, so `a().b` is `.b`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return ""


def _aliases(tree: ast.Module) -> dict[str, str]:
    """What names that were imported stand for: `run` for `subprocess.run`, wherever in the module that is."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.asname or one.name.partition(".")[0]: one.name if one.asname else "" for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def _full(name: str, aliases: dict[str, str]) -> str:
    head, dot, rest = name.partition(".")
    return f"{aliases.get(head) or head}{dot}{rest}"


@dataclass(frozen=True)
class Modules:
    """Parsed sources, by path."""

    trees: Mapping[str, ast.Module]

    @cached_property
    def calls(self) -> list[tuple[Use, ast.Call]]:
        found: list[tuple[Use, ast.Call]] = []
        for module, tree in self.trees.items():
            aliases = _aliases(tree)
            nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
            found += [(Use(module, node.lineno, _full(_name(node.func), aliases)), node) for node in nodes]
        return found

    @cached_property
    def names(self) -> list[Use]:
        """Every dotted name that was imported or is built in, called or not, and every import."""
        return [use for module, tree in self.trees.items() for use in _names(module, tree)]


def _names(module: str, tree: ast.Module) -> Iterator[Use]:
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = _name(node)
            if name.partition(".")[0] in {*aliases, *BUILT_IN}:
                yield Use(module, node.lineno, _full(name, aliases))
        elif isinstance(node, ast.Import):
            yield from (Use(module, node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (Use(module, node.lineno, f"{node.module}.{one.name}") for one in node.names)


SOURCES = Modules(
    {
        module: ast.parse(path.read_text())
        for path in sorted(FOLDER.rglob("*.py"))
        if (module := path.relative_to(FOLDER).as_posix()) not in GENERATED
    }
)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def programs(modules: Modules) -> Iterator[Use]:
    starts = ("exec", "spawn", "posix_spawn", "system", "popen", "fork", "startfile")
    for use in modules.names:
        root, _, rest = use.name.partition(".")
        if root in ("subprocess", "pty", "multiprocessing") or (root == "os" and rest.startswith(starts)):
            yield use


_WRITE_FLAGS = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE")
_READ_FLAGS = ("O_RDONLY", "O_PATH", "_STEP")
_WRITERS = frozenset(
    {
        *("write_text", "write_bytes", "touch", "truncate", "ftruncate", "pwrite", "writev", "sendfile", "mknod", "mkfifo"),
        *("mkstemp", "mkdtemp", "TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory"),
        *("memfd_create", "copyfile", "copy", "copy2", "copytree", "move"),
    }
)


def writes(modules: Modules) -> Iterator[Use]:
    """Files that are opened, made or changed to be written to. A file that `open` gave is written by whoever opened it."""
    for use, call in modules.calls:
        last = _last(use.name)
        if last in ("open", "fdopen"):
            if _opens_for_writing(use, call):
                yield use
        elif use.name == "os.write" or (last in _WRITERS and not _is_other_copy(use)):
            yield use


def _is_other_copy(use: Use) -> bool:
    return use.name.startswith("copy.") or (_last(use.name) in ("copy", "move") and not use.name.startswith(("shutil.", "os.")))


def _opens_for_writing(use: Use, call: ast.Call) -> bool:
    said = [*call.args, *(word.value for word in call.keywords)]
    flags = {_last(_name(node)) for one in said for node in ast.walk(one) if isinstance(node, ast.Name | ast.Attribute)}
    if use.name == "os.open" or flags & {*_WRITE_FLAGS, *_READ_FLAGS}:
        # Flags that are nowhere said to be for reading are somebody else's, so anything.
        return bool(flags & set(_WRITE_FLAGS)) or not flags & set(_READ_FLAGS)
    place = 0 if use.name.endswith(".open") else 1
    modes = [word.value for word in call.keywords if word.arg == "mode"] or call.args[place : place + 1]
    return any(not isinstance(mode, ast.Constant) or set(str(mode.value)) & set("wax+") for mode in modes)


_DELETERS = frozenset(["unlink", "rmdir", "rmtree", "removedirs", "rename", "renames"])


def deletes(modules: Modules) -> Iterator[Use]:
    for use, call in modules.calls:
        last = _last(use.name)
        # Path.replace takes one argument, that of a text two.
        replaces = last == "replace" and "." in use.name and len(call.args) == 1 and not call.keywords
        if last in _DELETERS or replaces or use.name in ("os.remove", "os.replace", "shutil.move"):
            yield use


_PRINTERS = ("print", "input", "click.echo", "click.secho", "click.echo_via_pager", "click.confirm", "click.prompt")


def exits(modules: Modules) -> Iterator[Use]:
    for use in modules.names:
        drawn = use.name.startswith("rich.") and _last(use.name) in ("Console", "Live", "print")
        if use.name in _PRINTERS or drawn or use.name.startswith(("sys.stdout", "sys.stderr", "sys.__std")):
            yield use
    for use, call in modules.calls:
        if use.name == "os.write" and isinstance(call.args[0], ast.Constant) and call.args[0].value in (1, 2):
            yield use


def loaders(modules: Modules) -> Iterator[Use]:
    readers = {
        "yaml": ("load", "safe_load", "full_load", "unsafe_load", "parse", "scan", "compose"),
        "json": ("load", "JSONDecoder"),
        "msgspec": ("json", "yaml", "toml", "msgpack"),
        "ast": ("literal_eval",),
    }
    for use in modules.names:
        root, _, rest = use.name.partition(".")
        if (
            rest.startswith(readers.get(root, ("\0",)))
            or root
            in (
                "tomllib",
                "pickle",
                "marshal",
                "shelve",
                "configparser",
                "xml",
            )
            or use.name in ("eval", "exec")
        ):
            yield use


_CHANNELS = ("grpc.insecure_channel", "grpc.secure_channel")
_SOCKETS = frozenset(
    {"socket.create_connection", "socket.socket", *_CHANNELS, *(f"quorate.quiet_grpc.{name}" for name in _CHANNELS)}
)


def connections(modules: Modules) -> Iterator[Use]:
    for use in modules.names:
        if use.name.startswith(("http.", "urllib.request", "httpx", "requests", "ftplib", "aiohttp", "urllib3")):
            yield use
    for use, _ in modules.calls:
        if use.name in _SOCKETS:
            yield use


def expressions(modules: Modules) -> Iterator[Use]:
    for use, _ in modules.calls:
        if use.name.startswith("re.") and _last(use.name) != "escape":
            yield use


_OF_EVERY_SCRIPT = re.compile(r"\\[dw]")


def digits(modules: Modules) -> Iterator[Use]:
    """Digits and letters of every script, where 0 to 9 are meant: `\\d` and `\\w` without re.ASCII, and the methods of str."""
    for module, tree in modules.trees.items():
        aliases = _aliases(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("isdigit", "isdecimal", "isnumeric", "isalnum", "isalpha"):
                yield Use(module, node.lineno, node.attr)
            if isinstance(node, ast.Call) and _full(_name(node.func), aliases).startswith("re."):
                texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                is_ascii = any("ASCII" in _name(one) for one in ast.walk(node) if isinstance(one, ast.Attribute))
                if not is_ascii and any(_OF_EVERY_SCRIPT.search(text) for text in texts):
                    yield Use(module, node.lineno, "\\d or \\w")


GUARDS: dict[str, tuple[Callable[[Modules], Iterator[Use]], dict[str, str]]] = {
    "programs": (programs, PROGRAMS),
    "writes": (writes, WRITES),
    "deletes": (deletes, DELETES),
    "exits": (exits, EXITS),
    "loaders": (loaders, LOADERS),
    "connections": (connections, CONNECTIONS),
    "expressions": (expressions, EXPRESSIONS),
    "digits": (digits, DIGITS),
}


@pytest.mark.parametrize("kind", GUARDS)
def test_what_may_do_harm_is_done_in_its_place_alone(kind: str) -> None:
    find, allowed = GUARDS[kind]
    elsewhere = [f"{use.module}:{use.line} uses {use.name}" for use in find(SOURCES) if use.module not in allowed]
    assert elsewhere == [], f"use the one place for it ({', '.join(sorted(allowed))}), or say there why not"


@pytest.mark.parametrize("kind", GUARDS)
def test_no_place_is_allowed_what_it_does_not_do(kind: str) -> None:
    find, allowed = GUARDS[kind]
    assert sorted(set(allowed) - {use.module for use in find(SOURCES)}) == []
    assert all(len(reason) > 5 for reason in allowed.values())


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("programs", "import subprocess"),
        ("programs", "from subprocess import run as go\ngo(['id'])"),
        ("programs", "import os\nos.execvp('id', ['id'])"),
        ("programs", "from os import system\nsystem('id')"),
        ("writes", "open('x', 'w')"),
        ("writes", "path.open(mode='r+')"),
        ("writes", "import os\nos.open('x', os.O_RDWR)"),
        ("writes", "import os\nos.open('x', flags)"),
        ("writes", "path.write_text('x')"),
        ("writes", "import tempfile\ntempfile.mkstemp()"),
        ("deletes", "path.unlink()"),
        ("deletes", "from shutil import rmtree\nrmtree('x')"),
        ("deletes", "path.replace(other)"),
        ("deletes", "import os\nos.remove('x')"),
        ("exits", "print('x')"),
        ("exits", "import click as c\nc.echo('x')"),
        ("exits", "import sys\nsys.stdout.write('x')"),
        ("exits", "import os\nos.write(2, b'x')"),
        ("loaders", "import yaml\nyaml.safe_load('x')"),
        ("loaders", "from json import loads as read"),
        ("loaders", "import pickle"),
        ("connections", "import http.client"),
        ("connections", "from quorate.quiet_grpc import grpc\ngrpc.insecure_channel('h:1')"),
        ("connections", "from urllib import request"),
        ("connections", "import socket\nsocket.create_connection(('h', 1))"),
        ("expressions", "import re\nre.search('(a+)+', text)"),
        ("digits", "int(text) if text.isdecimal() else 0"),
        ("digits", "any(map(str.isdigit, text))"),
        ("digits", "import re\nre.compile(r'v(\\\\d+)')"),
        ("digits", "import re\nre.compile(rf'{a}\\\\w+', re.IGNORECASE)"),
    ],
)
def test_a_planted_use_is_seen(kind: str, code: str) -> None:
    find, _ = GUARDS[kind]
    assert list(find(Modules({"core/planted.py": ast.parse(code)})))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("writes", "open('x')"),
        ("writes", "path.open('rb')"),
        ("writes", "import os\nos.open('x', os.O_RDONLY | os.O_CLOEXEC)"),
        ("writes", "import copy\ncopy.copy(x)"),
        ("deletes", "text.replace('a', 'b')"),
        ("deletes", "from dataclasses import replace\nreplace(value, name='x')"),
        ("exits", "import json\njson.dumps(x)"),
        ("digits", "import re\nre.compile(r'\\\\d+', re.ASCII)"),
        ("digits", "import re\nre.compile('[0-9]+')"),
        ("connections", "requests = []\nrequests.append(1)"),
    ],
)
def test_what_does_no_harm_is_not(kind: str, code: str) -> None:
    find, _ = GUARDS[kind]
    assert list(find(Modules({"core/planted.py": ast.parse(code)}))) == []
