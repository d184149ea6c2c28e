"""The one import of grpc: its core reads once, at the import, whether it writes its own diagnosis to stderr. Ours is in the
exception."""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
import grpc

__all__ = ["grpc"]
