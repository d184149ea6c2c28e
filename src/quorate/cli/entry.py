"""Where the console script and `python -m quorate` begin: the imports take a tenth of a second, and Ctrl-C may come in it."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def run() -> NoReturn:
    """Runs the command line of this process and exits with its exit code, from the first import to the last line."""
    try:
        from quorate.cli.main import run_process

        code = run_process()
    except KeyboardInterrupt:
        # Begun imports are begun again: nothing of this package has an effect at import.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from quorate.cli.main import interrupted

        code = interrupted(sys.argv[1:])
    _ends_with(code)
    sys.exit(code)


def _ends_with(code: int) -> None:
    """Lets Ctrl-C end this process with the code that it has, while Python takes down what is left of it."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(code)

    signal.signal(signal.SIGINT, end)
