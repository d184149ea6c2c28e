"""Writes src/quorate/config/component_gates.json: the feature gates that the components of each Kubernetes minor know.

`make component-gates` runs it when a Kubernetes minor is added. It builds engines/component-gates against the Go modules of
each supported minor and merges what they print. The result is committed, so that nobody else needs Go for it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from component_fields import PATCHES
from component_flags import downloaded

HERE = Path(__file__).parent
OUT = HERE.parent / "src" / "quorate" / "config" / "component_gates.json"
_STAGED = re.compile(r"^\s*(k8s\.io/[\w-]+) v0\.0\.0(?:\s|$)", re.MULTILINE)
_ALWAYS = "default"


def gates_of(minor: int) -> dict[str, dict[str, Any]]:
    """Returns the gates of one minor by name."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "component-gates" / "main.go", folder)
        (Path(folder) / "go.mod").write_text(_module(minor))
        environment = {**os.environ, "GOFLAGS": "-mod=mod"}
        done = subprocess.run(["go", "run", "."], cwd=folder, check=True, env=environment, stdout=subprocess.PIPE)
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return answer


def _module(minor: int) -> str:
    """Returns a go.mod that requires Kubernetes, and its staged modules in the versions of the same release: Kubernetes itself
    names none of them."""
    release = f"{minor}.{PATCHES[minor]}"
    required = (downloaded(f"k8s.io/kubernetes@v1.{release}") / "go.mod").read_text()
    replaced = "".join(f"\t{one} => {one} v0.{release}\n" for one in sorted(set(_STAGED.findall(required))))
    return f"module component-gates\n\ngo 1.22\n\nrequire k8s.io/kubernetes v1.{release}\n\nreplace (\n{replaced})\n"


def merged(by_minor: dict[int, dict[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Returns, by name, what a gate is and in which minors; one that changed has several entries. What is false or empty is
    left out, and so are the first and the last minor."""
    oldest, newest = min(by_minor), max(by_minor)
    gates: dict[str, list[dict[str, Any]]] = {}
    for minor in sorted(by_minor):
        for name, gate in by_minor[minor].items():
            what = {key: value for key, value in gate.items() if value or key == _ALWAYS}
            entries = gates.setdefault(name, [])
            last = entries[-1] if entries else None
            if (
                last is not None
                and last["until"] == minor - 1
                and what == {k: last[k] for k in last if k not in ("since", "until")}
            ):
                last["until"] = minor
            else:
                entries.append({**what, "since": minor, "until": minor})
    for entries in gates.values():
        for entry in entries:
            if entry["since"] == oldest:
                del entry["since"]
            if entry["until"] == newest:
                del entry["until"]
    return gates


def main() -> None:
    found = {}
    for minor in PATCHES:
        print(f"component-gates 1.{minor}", flush=True)
        found[minor] = gates_of(minor)
    rows = [f"  {json.dumps(name)}: {json.dumps(entries)}" for name, entries in sorted(merged(found).items())]
    OUT.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
