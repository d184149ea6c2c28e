"""A source distribution holds what a packager builds, tests and documents from."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from conftest import ROOT

BUILD = "import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))"


def test_a_source_distribution_is_whole(tmp_path: Path) -> None:
    """Docs, tests and the changelog were not in it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    for name in tracked:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "tree" / name)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD, str(tmp_path)],
        cwd=tmp_path / "tree",
        capture_output=True,
        text=True,
        check=True,
    )
    with tarfile.open(tmp_path / done.stdout.splitlines()[-1]) as made:
        held = {name.partition("/")[2] for name in made.getnames()}
    wanted = {name for name in tracked if not name.startswith((".ci/", ".git"))}
    assert not wanted - held
