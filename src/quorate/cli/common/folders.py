"""The type of options that say which node or cluster is meant by a directory."""

from __future__ import annotations

from pathlib import Path

import click


class Folder(click.ParamType[Path]):
    """A directory. An empty value is refused: `--rootfs "$ROOT"` where ROOT is not set would mean this host, and `reset` would
    wipe it."""

    name = "directory"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value).strip():
            self.fail("it names no directory; is a variable of your script not set?", param, ctx)
        return Path(str(value))


FOLDER = Folder()
