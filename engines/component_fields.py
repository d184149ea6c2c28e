"""Writes src/quorate/config/component_fields.json: the fields of KubeletConfiguration and KubeProxyConfiguration, by minor.

`make component-fields` runs it when a Kubernetes minor is added. It builds engines/component-fields against the Go modules of
each supported minor and merges what they print. The result is committed, so that nobody else needs Go for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUT = HERE.parent / "src" / "quorate" / "config" / "component_fields.json"
PATCHES = {27: 16, 28: 15, 29: 6, 30: 14, 31: 0, 32: 10, 33: 13, 34: 4, 35: 4, 36: 3, 37: 2}
"""A patch of each minor; types do not change within one."""


def fields_of(minor: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns what the Go types of one minor say, by kind and path."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "component-fields" / "main.go", folder)
        version = f"v0.{minor}.{PATCHES[minor]}"
        modules = "".join(f"\t{module} {version}\n" for module in ("k8s.io/kube-proxy", "k8s.io/kubelet"))
        (Path(folder) / "go.mod").write_text(f"module component-fields\n\ngo 1.22\n\nrequire (\n{modules})\n")
        environment = {**os.environ, "GOFLAGS": "-mod=mod"}
        done = subprocess.run(["go", "run", "."], cwd=folder, check=True, env=environment, stdout=subprocess.PIPE)
    answer: dict[str, dict[str, dict[str, Any]]] = json.loads(done.stdout)
    return answer


def merged(by_minor: dict[int, dict[str, dict[str, dict[str, Any]]]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns, by kind and path, what a field is and in which minors; a field whose type changed has several entries."""
    oldest, newest = min(by_minor), max(by_minor)
    kinds: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for minor in sorted(by_minor):
        for kind, fields in by_minor[minor].items():
            for path, field in fields.items():
                entries = kinds.setdefault(kind, {}).setdefault(path, [])
                what = {"type": field["type"], **({"omitempty": True} if field["omitempty"] else {})}
                last = entries[-1] if entries else None
                if last is not None and last["until"] == minor - 1 and {**last, **what} == last:
                    last["until"] = minor
                else:
                    entries.append({**what, "since": minor, "until": minor})
    for fields_by_path in kinds.values():
        for entries in fields_by_path.values():
            for entry in entries:
                if entry["since"] == oldest:
                    del entry["since"]
                if entry["until"] == newest:
                    del entry["until"]
    return kinds


def text_of(kinds: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Returns the file, with one field a line, so that a change of a minor is a change of a few lines."""
    parts = [
        f"  {json.dumps(kind)}: {{\n"
        + ",\n".join(f"    {json.dumps(path)}: {json.dumps(entries)}" for path, entries in sorted(fields.items()))
        + "\n  }"
        for kind, fields in sorted(kinds.items())
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    found = {}
    for minor in PATCHES:
        print(f"component-fields 1.{minor}", flush=True)
        found[minor] = fields_of(minor)
    OUT.write_text(text_of(merged(found)))


if __name__ == "__main__":
    main()
