"""The first minutes with a clone: an environment that heals itself, engines that say what they are, and advice
that can be followed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT

BACKEND = """
import pathlib, zipfile
NAME = "quorate-0-py3-none-any.whl"
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(pathlib.Path(folder) / NAME, "w") as wheel:
        wheel.writestr("quorate.pth", str(pathlib.Path("src").resolve()))
        about = "Metadata-Version: 2.1\\nName: quorate\\nVersion: 0\\nProvides-Extra: dev\\n"
        wheel.writestr("quorate-0.dist-info/METADATA", about)
        wheel.writestr("quorate-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("quorate-0.dist-info/RECORD", "")
    return NAME
"""
PROJECT = """[project]
name = "quorate"
version = "0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with a package of one line, whose installation needs no network."""
    folder = tmp_path / "a clone"
    (folder / "src" / "quorate").mkdir(parents=True)
    (folder / "src" / "quorate" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def make_venv(clone: Path, python: str = sys.executable, *extra: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "engines" / "venv.sh"), python, ".venv", *extra]
    clean = {name: value for name, value in os.environ.items() if name not in ("NAMED", "GOALS")}
    return subprocess.run(
        command, cwd=clone, capture_output=True, text=True, check=False, env={**clean, "PIP_NO_INDEX": "1", **environment}
    )


def is_whole(clone: Path) -> bool:
    """It runs our package, and what was planted before is not in it."""
    script = "import quorate, pip; print(quorate.__file__)"
    done = subprocess.run([clone / ".venv/bin/python", "-I", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.startswith(str(clone)) and not (clone / ".venv" / "planted").exists()


@pytest.mark.timeout(200)
def test_a_broken_environment_heals_itself(clone: Path) -> None:
    done = make_venv(clone)
    told = "venv: installing quorate into .venv (up to a minute)\n"
    assert (done.returncode, done.stderr, done.stdout) == (0, told, "") and is_whole(clone)
    venv = clone / ".venv"

    def interrupted() -> None:
        (venv / ".installed").unlink()

    def without_pip() -> None:
        for folder in venv.glob("lib/python*/site-packages/pip*"):
            shutil.rmtree(folder)

    def of_a_python_that_is_gone() -> None:
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/nonexistent/python3")

    def only_a_folder() -> None:
        shutil.rmtree(venv)
        venv.mkdir()

    for breaks in (interrupted, without_pip, of_a_python_that_is_gone, only_a_folder):
        breaks()
        (venv / "planted").touch()
        healed = make_venv(clone)
        assert healed.returncode == 0 and "made anew" in healed.stderr, (breaks, healed)
        assert is_whole(clone), breaks
    moved = clone.rename(clone.with_name("moved"))
    assert make_venv(moved).returncode == 0 and is_whole(moved)


def test_a_whole_environment_is_left_alone(clone: Path) -> None:
    assert make_venv(clone).returncode == 0
    (clone / ".venv" / "planted").touch()
    stamp = (clone / ".venv" / ".installed").stat().st_mtime_ns
    assert make_venv(clone, "/nonexistent/python").returncode == 0, "an environment that is whole needs no other Python"
    assert (clone / ".venv" / "planted").exists() and (clone / ".venv" / ".installed").stat().st_mtime_ns == stamp
    os.utime(clone / "pyproject.toml", (stamp / 1e9 + 5, stamp / 1e9 + 5))
    assert make_venv(clone, sys.executable, "dev").returncode == 0
    assert (clone / ".venv" / "planted").exists() and (clone / ".venv" / ".installed-dev").exists()


def test_the_package_is_compiled_where_no_run_may_do_it(clone: Path) -> None:
    """An editable installation compiles nothing: every start would compile all that it imports, a fifth of its time."""
    kept = clone / "src" / "quorate" / "__pycache__"
    for _ in range(2):
        assert make_venv(clone, PYTHONDONTWRITEBYTECODE="1").returncode == 0
        (found,) = kept.iterdir()
        assert found.name.startswith("__init__.") and found.suffix == ".pyc"
        found.unlink()


def test_a_python_that_is_too_old_is_named_before_anything_is_made(clone: Path) -> None:
    old = clone / "python3.10"
    old.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\necho is Python 3.10.13\n')
    old.chmod(0o755)
    done = make_venv(clone, str(old), GOALS="demo")
    assert done.returncode == 1 and not (clone / ".venv").exists()
    assert f"{old} is Python 3.10.13, and quorate needs Python 3.11 or newer: nothing was made" in done.stderr
    assert re.search(r"make PYTHON=python3\.1\d demo$", done.stderr, re.MULTILINE)
    assert "does not run" in make_venv(clone, "/nonexistent/python").stderr


@pytest.fixture
def build() -> ModuleType:
    """engines/build.py, which is no package."""
    spec = importlib.util.spec_from_file_location("engines_build", ROOT / "engines" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_an_engine_says_its_whole_version(build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "etcd-3.4"
    program.write_text("#!/bin/sh\necho etcd Version: 3.4.30-debian\necho Go Version: go1.22\n")
    program.chmod(0o755)
    build.check_version(program, ["--version"], "3.4.")
    assert capsys.readouterr().err == "engines: etcd-3.4 3.4.30-debian ready\n"
    with pytest.raises(SystemExit, match=r"does not report the pinned version 3\.5\.1"):
        build.check_version(program, ["--version"], "3.5.1")


def test_nobody_is_sent_to_an_index_that_does_not_have_quorate() -> None:
    """quorate is installed from a clone, or from a wheel that was built from one."""
    folders = ("src", "docs", "engines", "bench")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".sh")]
    texts = {path: path.read_text() for path in [*files, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile"]}
    wrong = re.compile(r"(?:pip|pipx|uv tool|uv pip) install (?:-\S+ )*['\"]?quorate\b")
    assert [str(path) for path, text in texts.items() if wrong.search(text)] == []
    assert wrong.search("pip install 'quorate[etcd]'") and wrong.search("pipx install quorate")


def test_help_of_make_lists_every_target_with_its_time() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("engines", "demo", "test", "e2e", "lint", "dev"):
        (line,) = re.findall(rf"^  make {target} +(.*)$", told, re.MULTILINE)
        assert "minute" in line, line
