"""The process in which atheris runs a target: `TARGET BOX TOLD SEED SECONDS`. Each new kind of suspect is a line of TOLD."""

from __future__ import annotations

import base64
import importlib
import json
import signal
import sys
from pathlib import Path
from random import Random

atheris = importlib.import_module("atheris")
with atheris.instrument_imports(include=["quorate"]):
    from fuzz.child import Box, _alarm, most_memory, once, shrunk
    from fuzz.mutate import mutated
    from fuzz.table import TARGETS

_MOST_MORE = 100 << 20


def main(words: list[str]) -> None:
    target, box, told = TARGETS[words[0]], Box.at(Path(words[1])), Path(words[2])
    pool = [path.read_bytes() for path in target.corpus()]
    known: set[tuple[str, str]] = set()
    count = 0

    def read(content: bytes) -> None:
        nonlocal count
        box.put(count, content)
        count += 1
        before = most_memory()
        # Its instrumented code is slower; what takes long is measured again without it.
        seen = once(target.read, content)
        more = most_memory() - before
        kind = "memory" if seen.kind == "fine" and more > _MOST_MORE and count > len(pool) + 10 else seen.kind
        if kind == "fine" or (kind, seen.where) in known:
            return
        known.add((kind, seen.where))
        smaller = shrunk(target.read, content, seen) if kind == "exception" else content
        row = {"kind": kind, "what": seen.what, "where": seen.where, "input": base64.b64encode(smaller).decode()}
        with told.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def change(content: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(content, most))
        return mutated([content, content, content, rng.choice(pool)], target.kinds, rng)[:most]

    signal.signal(signal.SIGALRM, _alarm)
    options = [
        f"-seed={words[3]}",
        f"-max_total_time={words[4]}",
        "-max_len=65536",
        "-rss_limit_mb=3000",
        "-print_final_stats=0",
    ]
    corpus = Path("corpus")
    corpus.mkdir()
    for number, content in enumerate(pool):
        (corpus / str(number)).write_bytes(content)
    atheris.Setup(["fuzz", *options, str(corpus)], read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
