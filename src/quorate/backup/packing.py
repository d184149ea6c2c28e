"""How a snapshot is packed before it is stored: compressed by zstd, encrypted by age. Both have programs of their own, so that
`age -d | zstd -d` gives the snapshot without quorate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from quorate.backup.manifest import AGE, ZSTD, Packing
from quorate.deadline import Cancel
from quorate.errors import ConfigError, QuorateError, Refused
from quorate.foreign.local_files import read_at_most
from quorate.foreign.text import visible
from quorate.foreign.writing import write_all

_PIECE = 1 << 20
_MOST_KEY_BYTES, _MOST_RECIPIENTS = 1 << 16, 64
_LEVEL = 3
_NOT_FOR_US = "No matching keys"
_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - how such a key begins
_MOST_WINDOW_BYTES = 1 << 27
"""As the zstd program takes by itself: a frame of somebody may ask for gigabytes of memory."""


class CannotUnpack(Refused):
    """A backup cannot be unpacked: the identity is another one, or it is not what its manifest says."""

    code = "cannot-unpack"
    next_step = "'quorate etcd backup show DIR WHICH' shows for whom it is encrypted"


class NotForUs(CannotUnpack):
    """A backup is encrypted for somebody else: that says nothing about it."""

    code = "not-for-us"


class _Reads(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Writes(Protocol):
    def write(self, piece: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Keys:
    """`able`: age's own objects, for whom a backup is encrypted, or who open it; `shown`: the recipients in letters."""

    able: tuple[Any, ...]
    shown: tuple[str, ...]


class _Source:
    """A reader that keeps its own failure: what reads from it makes another error of it."""

    def __init__(self, source: _Reads, cancel: Cancel) -> None:
        self._source, self._cancel = source, cancel
        self.failure: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            self._cancel.check()
            return self._source.read(_PIECE if size < 0 else size)
        except Exception as failure:
            self.failure = failure
            raise


class Target:
    """A writer into an open file that counts, hashes, and stops at `most` bytes."""

    def __init__(self, fd: int, most: int | None = None) -> None:
        self._fd, self._most = fd, most
        self._digest = hashlib.sha256()
        self.size = 0
        self.failure: Exception | None = None

    def write(self, piece: bytes) -> int:
        self.size += len(piece)
        if self._most is not None and self.size > self._most:
            self.failure = CannotUnpack(
                f"it holds more than the {self._most} bytes that its manifest names", state="nothing was changed"
            )
            raise self.failure
        self._digest.update(piece)
        try:
            write_all(self._fd, piece)
        except OSError as failure:
            self.failure = failure
            raise
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def pack(source: _Reads, target: Target, packing: Packing, keys: Keys | None, cancel: Cancel) -> None:
    """Packs a whole file. Raises OSError where it cannot be written, `Interrupted`, and `ConfigError` without the library."""
    reading = _Source(source, cancel)
    compressed = _zstd().ZstdCompressor(level=_LEVEL).stream_reader(reading) if packing.compression == ZSTD else reading
    with _own_failures(reading, target):
        if keys is None:
            _copy(compressed, target)
        else:
            _age().encrypt_io(compressed, target, list(keys.able))


def unpack(source: _Reads, target: Target, packing: Packing, keys: Keys | None, cancel: Cancel) -> None:
    """Unpacks a whole file; what is cut ends without an error, so its size and digest have to be compared. Raises as `pack`,
    and `CannotUnpack`."""
    reading = _Source(source, cancel)
    decompressor = _zstd().ZstdDecompressor(max_window_size=_MOST_WINDOW_BYTES) if packing.compression == ZSTD else None
    writing = decompressor.stream_writer(target, closefd=False) if decompressor is not None else target
    with _own_failures(reading, target):
        if packing.encryption != AGE:
            _copy(reading, writing)
        elif keys is None:
            raise NotForUs(
                "it is encrypted", state="nothing was changed", advice="name the file of an identity with --identity"
            )
        else:
            _age().decrypt_io(reading, writing, list(keys.able))


@contextmanager
def _own_failures(reading: _Source, target: Target) -> Iterator[None]:
    """Raises the failure of the reader or the writer rather than what a library made of it."""
    try:
        yield
    except QuorateError:
        raise
    except Exception as error:
        for failure in (reading.failure, target.failure):
            if failure is not None:
                raise failure from error
        kind = NotForUs if _NOT_FOR_US in str(error) else CannotUnpack
        raise kind(f"it cannot be unpacked: {visible(str(error))[:200]}", state="nothing was changed") from error


def _copy(source: _Reads, target: _Writes) -> None:
    while piece := source.read(_PIECE):
        target.write(piece)


def recipients(texts: Sequence[str], file: Path | None) -> Keys | None:
    """Returns for whom it is encrypted, by `age1…` and `ssh-ed25519 …` of the command line and of a file with one in each line;
    None where nobody is named. Raises `ConfigError`."""
    named = [*texts, *(_lines(file) if file is not None else ())]
    if not named:
        if file is not None:
            raise ConfigError(f"{file} names no recipient", state="nothing was saved")
        return None
    if len(named) > _MOST_RECIPIENTS:
        raise ConfigError(f"{len(named)} recipients; at most {_MOST_RECIPIENTS} can be named", state="nothing was saved")
    return Keys(tuple(_recipient(one) for one in named), tuple(_shown(one) for one in named))


def _recipient(text: str) -> Any:
    age = _age()
    kind = age.ssh.Recipient if text.startswith("ssh-") else age.x25519.Recipient
    try:
        return kind.from_str(text)
    except Exception:
        # Somebody may have pasted the secret one: it is not quoted.
        shown = visible(text)[:80] if text.startswith(("age1", "ssh-")) else "what is named"
        raise ConfigError(
            f"{shown} is no recipient of age", state="nothing was saved", advice="'age-keygen -y FILE' prints one"
        ) from None


def _shown(text: str) -> str:
    """Returns a recipient without the comment of an SSH key, which may be anything."""
    return visible(" ".join(text.split()[:2]))


def identities(file: Path) -> Keys:
    """Returns who opens a backup, by a file of age-keygen or a private key of SSH. Raises `ConfigError`."""
    age, content = _age(), _content(file)
    try:
        if content.lstrip().startswith(b"-----BEGIN "):
            return Keys((age.ssh.Identity.from_buffer(content),), ())
        able = tuple(age.x25519.Identity.from_str(one) for one in _lines_of(content))
    except Exception:
        # What the library says may quote the key; so may a chain of causes.
        raise ConfigError(
            f"{file} holds no identity of age that can be used", advice="a key with a password is not read; see 'age-keygen'"
        ) from None
    if not able:
        raise ConfigError(f"{file} holds no identity of age", advice="'age-keygen -o FILE' makes one")
    return Keys(able, ())


def _lines(file: Path) -> list[str]:
    return _lines_of(_content(file))


def _content(file: Path) -> bytes:
    if file.name.upper().startswith(_SECRET):
        raise ConfigError("the text of a secret key was given where a file is named", advice="name the file that holds it")
    return read_at_most(file, _MOST_KEY_BYTES)


def _lines_of(content: bytes) -> list[str]:
    lines = [one.strip() for one in content.decode(errors="replace").splitlines()]
    return [one for one in lines if one and not one.startswith("#")]


def _zstd() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise ConfigError("zstd needs a library", advice="install it where quorate is: pip install zstandard") from error
    return zstandard


def _age() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise ConfigError("age needs a library", advice="install it where quorate is: pip install pyrage") from error
    return pyrage
