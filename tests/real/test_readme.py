"""The README, typed from top to bottom by a shell: all but `make`, which other tests run."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from conftest import ROOT

from quorate.local.home import Home

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
