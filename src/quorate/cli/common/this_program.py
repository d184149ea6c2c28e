"""Where the program that runs now is, for what starts it later."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def path_of_program() -> str:
    """Returns the absolute path of the program that runs now: a unit knows no PATH of ours."""
    found = shutil.which(sys.argv[0])
    return str(Path(found).absolute()) if found else str(Path(sys.executable).with_name("quorate"))
