"""The loggers of this package, which are those of the standard library and named after its modules.

A module asks for its logger here, not with `logging.getLogger`: the package itself then need not load `logging`, which costs a
command that logs nothing more than its own code does.
"""

from __future__ import annotations

import logging

# Without a handler Python would print warnings of ours to stderr: a library leaves that to its user.
logging.getLogger("quorate").addHandler(logging.NullHandler())


def logger(name: str) -> logging.Logger:
    """Returns the logger of the module `name`."""
    return logging.getLogger(name)
