"""The credentials of a run without an end: read again when their files are renewed, because certificates live for a year or
for a day, and a daemon for longer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import QuorateError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import TlsFiles, load_tls
from quorate.foreign.places import Stamp, stamps_behind


@dataclass(slots=True)
class Credentials:
    """The TLS files of `access`, as it read them."""

    access: Access
    _seen: tuple[Stamp | None, ...] = field(init=False)
    _said: str = ""

    def __post_init__(self) -> None:
        self._seen = stamps_behind(self._paths())

    def refresh(self) -> str:
        """Uses the files as they are now, if they have changed and fit together; to be called between two looks. Returns what
        is to be said about it: that they are used, or, once, why they are not yet."""
        seen = stamps_behind(self._paths())
        if seen == self._seen or self.access.tls is None:
            return ""
        try:
            self.access.use(load_tls(self.access.tls.files))
        except QuorateError as error:
            # One file is written after the other: until they fit together, the earlier ones are used.
            said, self._said = self._said, error.what
            return f"the renewed credentials are not used yet: {error.what}" if said != error.what else ""
        self._seen, self._said = seen, ""
        return "the credentials were renewed: they are used from now on"

    def _paths(self) -> list[Path]:
        files = self.access.tls.files if self.access.tls is not None else TlsFiles()
        return [path for path in (files.ca, files.cert, files.key) if path is not None]
