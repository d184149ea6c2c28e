"""What the project promises about its own shape: import directions and budget, generated code, sizes, documents."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest
from conftest import BIN, ROOT, RunCli

from quorate.cli.main import main

SOURCES = sorted(path for path in (ROOT / "src" / "quorate").rglob("*.py") if not path.name.endswith("_pb2.py"))


def third_party_after(*arguments: str) -> set[str]:
    """Top-level names of third-party packages imported by running the command line with these arguments."""
    script = (
        "import json, sys\n"
        "from quorate.cli.main import run_with\n"
        "run_with(sys.argv[1:])\n"
        "files = {name: getattr(module, '__file__', None) or '' for name, module in list(sys.modules.items())}\n"
        "print('\\n' + json.dumps(sorted({name.split('.')[0] for name, file in files.items() if 'site-packages' in file})))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"], []])
def test_help_imports_nothing_but_click(arguments: list[str]) -> None:
    # Names with an underscore are the virtual environment's own hooks; coverage is there where `make coverage` measures.
    loaded = {name for name in third_party_after(*arguments) if not name.startswith("_")}
    assert loaded - {"quorate", "coverage"} == {"click"}


@pytest.mark.parametrize("group", ["local", "etcd"])
def test_help_of_a_group_stays_light(group: str) -> None:
    assert not {"grpc", "cryptography", "yaml", "rich", "google"} & third_party_after(group, "--help")


@pytest.mark.parametrize("group", ["init", "join", "reset", "config", "certs", "token", "kubeconfig", "doctor"])
def test_help_of_kubeadms_commands_stays_light(group: str) -> None:
    """They read configuration types, and none of what carries them out."""
    assert not {"grpc", "cryptography", "httpx", "rich", "google"} & third_party_after(group, "--help")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", str(folder / ".importlinter"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_imports_go_one_way() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("core/decide_join.py", "import time", "The core has no effects"),
        ("core/ids.py", "import quorate.etcd.client.rpc", "Arrows go one way"),
        ("etcd/observation/look.py", "import quorate.pki.store", "Arrows go one way"),
        (
            "etcd/observation/look.py",
            "import quorate.etcd.membership.join",
            "The rooms of etcd, from who changes to who is asked",
        ),
        (
            "etcd/membership/join.py",
            "import quorate.etcd.membership.member_rpc",
            "Only quorate.etcd.membership.executor changes membership",
        ),
        (
            "cli/etcd/group.py",
            "import quorate.etcd.membership.member_rpc",
            "Only quorate.etcd.membership.executor changes membership",
        ),
        ("host/ports.py", "import cryptography", "Only quorate.pki imports cryptography"),
        (
            "member/process.py",
            "import quorate.member.checks",
            "The room of a member, from a join on this host to what its flags are",
        ),
        (
            "phases/node/certs.py",
            "import quorate.phases.init.run",
            "The rooms of the phases, from whole runs to what every phase stands on",
        ),
        (
            "cli/local/group.py",
            "import quorate.cli.etcd.group",
            "The rooms of the command line, from main to what all need",
        ),
        ("member/checks.py", "import quorate.local.home", "Arrows go one way"),
    ],
)
def test_a_planted_wrong_import_is_found(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    path = tmp_path / "src" / "quorate" / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1 and f"{contract} BROKEN" in done.stdout


def test_the_stubs_are_those_of_the_proto(tmp_path: Path) -> None:
    source = ROOT / "src"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, "quorate/etcd/client/wire.proto", "quorate/host/cri.proto"], cwd=source, check=True)
    made = [path for path in (tmp_path / "quorate").rglob("*") if path.is_file()]
    assert len(made) == 4
    for path in made:
        assert path.read_text() == (source / path.relative_to(tmp_path)).read_text(), "run 'make proto'"


def test_the_import_of_the_fixtures_makes_nothing(tmp_path: Path) -> None:
    """Scripts import them too, and end no session that would delete it: a folder in /tmp stayed of each."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-c", "import conftest"],
        cwd=ROOT / "tests",
        env={**environment, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []


def test_files_stay_readable() -> None:
    long = {str(path): count for path in SOURCES if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_functions_stay_small() -> None:
    lengths = [
        (node.end_lineno or 0) - node.body[0].lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    assert statistics.median(lengths) <= 10
    assert max(lengths) <= 60


def test_every_module_says_what_it_owns() -> None:
    assert [str(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))] == []


def shell_blocks(document: Path) -> list[str]:
    """The commands of a document: its ```sh blocks."""
    return [part.partition("```")[0] for part in document.read_text().split("```sh\n")[1:]]


def commands(group: click.Group, above: click.Context | None = None) -> Iterator[tuple[click.Context, click.Command]]:
    """Every command with its context, hidden ones too."""
    context = click.Context(group, above)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None, name
        yield context, found
        if isinstance(found, click.Group):
            yield from commands(found, context)


def test_the_flags_of_the_examples_in_helps_exist() -> None:
    checked = 0
    for _, command in commands(main):
        for line in (line.strip() for line in (command.help or "").splitlines()):
            if line.startswith("quorate "):
                words = re.split(r"\s{2,}|[>|]", line)[0].split()[1:]
                check_flags(words, line)
                checked += 1
    assert checked > 100


def check_flags(words: list[str], line: str) -> None:
    """Walk down as far as there are commands; every flag must be one of the command reached, or of one above it."""
    command: click.Command = main
    known = {"-h", "--help"}
    for word in words:
        if word.startswith("-"):
            known |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            assert word.partition("=")[0] in known, line
        elif isinstance(command, click.Group):
            known |= {name for one in command.params for name in one.opts}
            command = command.get_command(click.Context(command), word) or command


def test_the_commands_of_the_readme_exist(cli: RunCli) -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if line and line[0].isalpha()}
    lines = [line.split("#")[0].split() for block in shell_blocks(ROOT / "README.md") for line in block.splitlines()]
    checked = 0
    for words in filter(None, lines):
        if words[0] == "make":
            assert words[1] in targets
            checked += 1
        if words[0] == "quorate":
            names = list(takewhile(lambda word: not word.startswith("-"), words[1:4]))
            assert cli(*names[:3], "--help").returncode == 0 or cli(*names[:2], "--help").returncode == 0, words
            checked += 1
    assert checked >= 8


def test_the_tests_that_documents_name_exist() -> None:
    defined = {
        node.name
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    texts = [path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]]
    named = {name for text in texts for name in re.findall(r"`(test_\w+)`", text)}
    assert len(named) > 50
    assert sorted(named - defined) == []


@pytest.mark.real
def test_make_demo(tmp_path: Path) -> None:
    """The README's first command, on this clone's engines and environment."""
    if not (BIN / "etcd-3.6").exists() or not (ROOT / ".venv" / ".installed").exists():
        pytest.skip("needs the engines and .venv made by make")
    folder = f"DEMO_DIR={tmp_path / 'demo'}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    try:
        done = subprocess.run(["make", "demo", folder], cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("quorum is safe") == 3
        assert done.stdout.count("|      false |") == 3
        pasted = re.findall(r"^  ((?:export|eval|quorate|etcdctl) .*)$", done.stdout, re.MULTILINE)
        assert len(pasted) == 5
        shell = ["bash", "-e", "-c", "\n".join(pasted)]
        told = subprocess.run(shell, cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
        assert told.returncode == 0 and "1 more may fail" in told.stdout, told
    finally:
        subprocess.run(["make", "demo-down", folder], cwd=ROOT, capture_output=True, check=True, env=environment)
    assert not (tmp_path / "demo").exists()


def test_what_is_no_python_is_shipped_too() -> None:
    """A file that moves to another room takes its pattern along: the stubs of the etcd client once were in no wheel."""
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["quorate"]
    package = ROOT / "src" / "quorate"
    others = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others == {path for pattern in given for path in package.glob(pattern)}


@pytest.mark.parametrize("first", ["quorate.host.cri", "quorate.etcd.client.channel"])
def test_grpcs_own_diagnosis_stays_off_stderr(first: str) -> None:
    """`doctor` printed a line of its core: another module had imported it before the variable was set."""
    code = f"import os; os.environ.pop('GRPC_VERBOSITY', None); import {first}; print(os.environ['GRPC_VERBOSITY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "NONE\n"
    importers = [path.name for path in SOURCES if re.search(r"^\s*(import|from) grpc\b", path.read_text(), re.MULTILINE)]
    assert importers == ["quiet_grpc.py"]
