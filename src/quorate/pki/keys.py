"""Private keys made ahead, side by side: an RSA key takes longer than everything else about a certificate."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from quorate.pki.certificates import KeyKind, PrivateKey, make_key

_WORKERS = 2


@dataclass(slots=True)
class KeyPool:
    """Keys that will be needed; what was not prepared is made when it is asked for."""

    _ready: dict[KeyKind, list[Future[PrivateKey]]] = field(default_factory=dict[KeyKind, "list[Future[PrivateKey]]"])

    def prepare(self, kind: KeyKind, count: int) -> None:
        """Have `count` keys, or more, made or in the making; returns at once."""
        ready = self._ready.setdefault(kind, [])
        workers = ThreadPoolExecutor(_WORKERS)
        ready.extend(workers.submit(make_key, kind) for _ in range(count - len(ready)))
        workers.shutdown(wait=False)

    def take(self, kind: KeyKind) -> PrivateKey:
        """A key that nobody else gets."""
        waiting = self._ready.get(kind)
        return waiting.pop(0).result() if waiting else make_key(kind)
