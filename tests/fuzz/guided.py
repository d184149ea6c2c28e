"""Coverage-guided inputs by atheris, where it is installed: `pip install atheris`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.child import BOX_BYTES, Box
from fuzz.judge import Finding, Report, measure

_START_SECONDS = 60.0
_TESTS = Path(__file__).resolve().parents[1]


def explore(target: str, seed: str, seconds: float) -> Report:
    """The corpus, then what reaches new branches, for `seconds`. Findings are confirmed as those of the own engine."""
    with tempfile.TemporaryDirectory(prefix="quorate-fuzz-") as folder:
        box, told = Path(folder) / "box", Path(folder) / "told"
        box.write_bytes(bytes(BOX_BYTES))
        told.touch()
        number = int.from_bytes(seed.encode(), "big") % 2**31
        command = [sys.executable, "-m", "fuzz.guided_child", target, str(box), str(told), str(number), str(int(seconds) + 1)]
        environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
        stuck = False
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=folder,
                env=environment,
                timeout=seconds + _START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            stuck = True
        executions, last = Box.at(box).get()
        rows = [json.loads(line) for line in told.read_text().splitlines()]
    suspects = [Finding(target, row["kind"], row["what"], row["where"], base64.b64decode(row["input"])) for row in rows]
    suspects += [Finding(target, "slow", "it does not end", "?", last)] if stuck else []
    found = [one for one in suspects if measure(target, one.content, one.where) is not None]
    return Report(target, executions, frozenset(), tuple(found))
