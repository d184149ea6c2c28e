"""A store of backups in an object store: S3, Google's or Azure's, by obstore.

A file is spooled here and sent when it is whole: it is read before it counts, and an object cannot be read before it is there.
What is sent in parts overwrites what has its name; so its name is taken first, by a small object that no other run can make.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from quorate.backup.manifest import TAKEN_SUFFIX
from quorate.backup.spool import Spool, path_of
from quorate.backup.store import PIECE_BYTES, Stored
from quorate.deadline import SystemClock
from quorate.errors import ConfigError, HostError
from quorate.foreign.numbers import are_digits
from quorate.foreign.text import visible
from quorate.foreign.writing import write_all
from quorate.host.facts import hostname
from quorate.host.work_folder import new_file, work_in

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Remote

_SCHEMES = ("s3", "gs", "az")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_MOST_OBJECTS, _MOST_TAKEN = 200_000, 1 << 12
_PART_BYTES, _PARTS_AT_ONCE = 8 << 20, 3
_ANSWERS_WITHIN, _CONNECTS_WITHIN, _TRIES_FOR = timedelta(seconds=60), timedelta(seconds=10), timedelta(seconds=120)
"""A request, which carries one part at most, gets so long; one that fails is sent anew for so long."""
_WORK = ".quorate-fetched-"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ArrivingObject:
    """A spooled file that is sent when it gets its name."""

    fd: int
    folder: str
    spool: Path
    store: ObjectStore

    def keep(self, name: str) -> None:
        self.store.send(self.fd, f"{self.folder}/{name}")

    def failed(self, error: OSError) -> HostError:
        return HostError(
            f"cannot write to {self.spool}: {error.strerror}",
            state="nothing was saved",
            advice="free some space there, or name another folder with --work",
        )


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """`place`: the URL; `remote`: what obstore made of it; `work`: the folder of this machine for what is sent and fetched."""

    place: str
    remote: Remote
    work: Path
    clock: SystemClock

    def room(self) -> tuple[str, int | None]:
        return Spool(self.work).room()

    @contextmanager
    def arriving(self, folder: str, name: str) -> Iterator[ArrivingObject]:
        with Spool(self.work).arriving(folder, name) as spooled:
            yield ArrivingObject(spooled.fd, folder, self.work, self)

    def send(self, fd: int, name: str) -> None:
        """Sends an open file, whatever its offset. Raises `HostError`; where an object has the name, it stays as it is."""
        taken = name + TAKEN_SUFFIX
        if not self._take(taken):
            raise self._is_there(name)
        is_there = self._size(name) is not None
        if not is_there:
            self._ask("write", lambda: self._send(fd, name))
        with suppress(HostError):
            # Who may not delete leaves it to a prune.
            self.delete(taken)
        if is_there:
            raise self._is_there(name)

    def _take(self, taken: str) -> bool:
        """Takes a name for this run; one that a killed run of this host had taken is taken over."""
        own = f"{hostname()} {os.getpid()} "
        mine = f"{own}{secrets.token_hex(8)}".encode()
        if self.create(taken, mine):
            return True
        host, _, rest = self.read(taken, _MOST_TAKEN).decode(errors="replace").partition(" ")
        pid = rest.partition(" ")[0]
        if host != hostname() or not are_digits(pid) or Path(f"/proc/{pid}").exists():
            return False
        self.delete(taken)
        return self.create(taken, mine)

    def _is_there(self, name: str) -> HostError:
        return HostError(
            f"{self.place}/{name} is there already, or another run is sending it; it was left as it is",
            state="nothing was saved",
            advice="run the same command again: its name has the second in it",
        )

    def _send(self, fd: int, name: str) -> None:
        import obstore

        size = 0
        # Not as its context manager: that would complete, of what is interrupted, an object that is cut.
        writer = obstore.open_writer(self.remote, name, buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
        with path_of(fd).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                self.clock.cancel.check()
                size += writer.write(piece)
        writer.close()
        if (arrived := self._size(name)) != size:
            raise HostError(f"{self.place}/{name} has {arrived} bytes; {size} were sent", state="nothing was saved")

    def _size(self, name: str) -> int | None:
        import obstore

        try:
            return int(self._ask("look", lambda: obstore.head(self.remote, name))["size"])
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            self._ask("write", lambda: obstore.put(self.remote, name, content, mode="create"))
        except (AlreadyExistsError, PreconditionError):
            # A request whose answer was lost is sent anew, and then finds what it has made itself.
            return self.read(name, len(content) + PIECE_BYTES) == content
        return True

    def replace(self, name: str, content: bytes) -> None:
        import obstore

        self._ask("write", lambda: obstore.put(self.remote, name, content))

    def read(self, name: str, most_bytes: int) -> bytes:
        content = bytearray()
        for piece in self.pieces(name):
            content += piece
            if len(content) > most_bytes:
                raise ConfigError(f"{self.place}/{name} has more than {most_bytes} bytes")
        return bytes(content)

    def pieces(self, name: str) -> Iterator[bytes]:
        # By ranges: one request for all of a gigabyte would have to end within its time.
        size, start = self._size(name), 0
        if size is None:
            raise HostError(f"cannot read {self.place}/{name}: it is not there")
        while start < size:
            self.clock.cancel.check()
            yield (piece := self._part(name, start, min(_PART_BYTES, size - start)))
            start += len(piece)

    def _part(self, name: str, start: int, length: int) -> bytes:
        import obstore

        found = self._ask("read", lambda: bytes(obstore.get_range(self.remote, name, start=start, length=length)))
        if len(found) != length:
            raise HostError(f"{self.place}/{name} changed while it was read")
        return found

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with work_in(self.work, _WORK) as folder:
            path = folder / "fetched"
            try:
                with new_file(path) as fd:
                    for piece in self.pieces(name):
                        write_all(fd, piece)
            except OSError as error:
                raise HostError(
                    f"cannot write to {self.work}: {error.strerror}",
                    advice="free some space there, or name another folder with --work",
                ) from error
            yield path

    def stored(self) -> list[Stored]:
        return sorted(self._ask("list", self._stored), key=lambda one: one.name)

    def _stored(self) -> list[Stored]:
        import obstore

        found = list[Stored]()
        for batch in obstore.list(self.remote):
            # Deeper ones, and those at the top, are somebody else's: a store's files lie in the folders of clusters.
            found += [
                Stored(one["path"], one["size"], one["last_modified"].timestamp()) for one in batch if _is_file(one["path"])
            ]
            if len(found) > _MOST_OBJECTS:
                raise HostError(
                    f"{self.place} has more than {_MOST_OBJECTS} objects", advice="name a prefix that has nothing but backups"
                )
        return found

    def delete(self, name: str) -> None:
        import obstore

        try:
            self._ask("delete", lambda: obstore.delete(self.remote, name))
        except FileNotFoundError:
            return

    def _ask(self, verb: str, ask: Callable[[], _Result]) -> _Result:
        """Asks the remote store; makes of its errors ours, but for those that say whether there is such an object."""
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            return ask()
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            raise
        except (BaseError, OSError, ValueError) as error:
            why = _reason(error)
            # It names the URL that it asked, which the variables of the provider may have set.
            plain = " http://" in why and "builder error" in why
            raise HostError(
                f"cannot {verb} in {self.place}: {why}",
                advice="http:// shows a backup to the whole network: use https://, or allow it with AWS_ALLOW_HTTP=true"
                if plain
                else "see the URL, the credentials in the variables of its provider, and who may do that there",
            ) from error


def _stored(found: ObjectMeta) -> Stored:
    return Stored(found["path"], found["size"], found["last_modified"].timestamp())


def _is_file(name: str) -> bool:
    folder, _, file = name.partition("/")
    return bool(folder and file) and "/" not in file and visible(name) == name


def _reason(error: Exception) -> str:
    """Returns the first line of what obstore says, which is the whole of it; the others repeat it as a structure of Rust."""
    lines = [one.strip() for one in str(error).splitlines() if one.strip()] or [type(error).__name__]
    return visible(lines[0])[:300]


def _may_be_plain() -> bool:
    # obstore reads this variable by itself only where it is given no options of a client.
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")


def is_url(text: str) -> bool:
    """Returns whether a place is named by a URL."""
    return _URL.fullmatch(text) is not None


def at_url(url: str, work: Path, clock: SystemClock) -> ObjectStore:
    """Returns the store at a URL; nobody is asked yet. Credentials come from the variables of the provider, such as
    AWS_ACCESS_KEY_ID. Raises `ConfigError`."""
    match = _URL.fullmatch(url)
    scheme = match[1] if match is not None else ""
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"{visible(url)[:200]} is no object store",
            advice=f"name a directory, or one of {', '.join(f'{one}://' for one in _SCHEMES)}",
        )
    if any(letter in url for letter in "@?#"):
        # They may be credentials, and what follows is written into logs and units.
        raise ConfigError(
            f"a {scheme}:// URL names a bucket and a prefix, nothing else",
            advice="give credentials by the variables of the provider, such as AWS_ACCESS_KEY_ID",
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise ConfigError(f"{scheme}:// needs obstore", advice="install it where quorate is: pip install obstore") from error
    try:
        remote = from_url(
            url.rstrip("/"),
            client_options={"timeout": _ANSWERS_WITHIN, "connect_timeout": _CONNECTS_WITHIN, "allow_http": _may_be_plain()},
            retry_config={"retry_timeout": _TRIES_FOR},
        )
    except (BaseError, ValueError) as error:
        raise ConfigError(
            f"{visible(url)[:200]} cannot be used: {_reason(error)}", advice="see the URL and its variables"
        ) from error
    return ObjectStore(url.rstrip("/"), remote, work, clock)
