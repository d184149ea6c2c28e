"""Private keys made ahead, in parallel: an RSA key takes longer than everything else about a certificate."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from quorate.pki.certificates import KeyKind, PrivateKey, make_key

_WORKERS = 2


@dataclass(slots=True)
class KeyPool:
    """Keys that will be needed; a key that was not prepared is made on demand."""

    _ready: dict[KeyKind, list[Future[PrivateKey]]] = field(default_factory=dict[KeyKind, "list[Future[PrivateKey]]"])

    def prepare(self, kind: KeyKind, count: int) -> None:
        """Starts to make keys until `count` or more are ready or in the making; returns at once."""
        ready = self._ready.setdefault(kind, [])
        workers = ThreadPoolExecutor(_WORKERS)
        ready.extend(workers.submit(make_key, kind) for _ in range(count - len(ready)))
        workers.shutdown(wait=False)

    def take(self, kind: KeyKind) -> PrivateKey:
        """Returns a key that no other caller gets."""
        waiting = self._ready.get(kind)
        return waiting.pop(0).result() if waiting else make_key(kind)
