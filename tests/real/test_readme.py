"""The README, typed from top to bottom by a shell: all but `make`, which other tests run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, kill_everything

from quorate.local.home import Home
from quorate.local.layout import Layout

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("etcd36", "etcdctl")]


def test_every_line_of_the_readme_can_be_typed(home: Home) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    script = "".join(re.sub(r"^make .*\n", "", block, flags=re.MULTILINE) for block in blocks)
    assert script.count("quorate ") > 25
    clone = home.layout.root.with_name("clone")
    clone.mkdir()
    for name in (".venv", ".engines"):
        (clone / name).symlink_to(ROOT / name)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "QUORATE_"))}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-x", "-c", script],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
        env={**clean, "QUORATE_LOCAL_DIR": str(home.layout.root)},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert not home.layout.root.exists(), "the last command deletes the cluster"


def test_the_tutorial_of_the_autopilot(tmp_path: Path) -> None:
    """In one terminal: the daemon runs beside the shell, which ends it."""
    page = (ROOT / "docs" / "autopilot.md").read_text()
    script = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    assert script.count("quorate ") == 6
    beside = r"\1 2>&1 & trap 'kill $!; wait $!' EXIT; sleep 3"
    typed, behind = re.subn(r"^(quorate autopilot run) .*$", beside, script, flags=re.MULTILINE)
    assert behind == 1
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "QUORATE_"))}
    paths = f"{ROOT / '.venv' / 'bin'}:{ROOT / '.engines' / 'bin'}:{clean['PATH']}"
    made = Home(Layout(tmp_path / "quorate" / "local"))
    try:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", typed],
            capture_output=True,
            text=True,
            check=False,
            env={**clean, "PATH": paths, "XDG_DATA_HOME": str(tmp_path)},
        )
    finally:
        kill_everything(made)
    assert "m2 has been silent for" in done.stdout, f"{done.stdout}\n{done.stderr}"
    assert "3 voters" in done.stdout and "Traceback" not in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
def test_the_runbook(tmp_path: Path) -> None:
    """In a network of its own: the page names ports."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE | re.DOTALL)
    script = "ip link set lo up\ntrap 'jobs -p | xargs -r kill' EXIT\n" + "".join(blocks)
    assert script.count("quorate ") > 12
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "QUORATE_"))}
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "etcd").symlink_to(ROOT / ".engines" / "bin" / "etcd-3.6")
    paths = f"{ROOT / '.venv' / 'bin'}:{programs}:{ROOT / '.engines' / 'bin'}:{clean['PATH']}"
    made = Home(Layout(tmp_path / "practice"))
    try:
        done = subprocess.run(
            ["unshare", "--net", "bash", "-e", "-o", "pipefail", "-x", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**clean, "PATH": paths, "XDG_DATA_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
        )
    finally:
        kill_everything(made)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
