"""Packed files: what is unpacked is what was packed, and what cannot be is said, with nothing left half."""

from __future__ import annotations

import io
import os
import random
from contextlib import suppress
from pathlib import Path

import pyrage
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from quorate.backup.manifest import Packing
from quorate.backup.packing import CannotUnpack, Keys, Target, identities, pack, recipients, unpack
from quorate.deadline import Cancel
from quorate.errors import ConfigError, Interrupted

ZSTD, AGE, BOTH = Packing("zstd"), Packing("", "age"), Packing("zstd", "age")
WAYS = pytest.mark.parametrize("packing", [ZSTD, AGE, BOTH], ids=["zstd", "age", "both"])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Keys, Keys]:
    own = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"# created: today\n# public key: {own.to_public()}\n{own}\n")
    able = recipients((str(own.to_public()),), None)
    assert able is not None
    return able, identities(tmp_path / "key")


def packed(content: bytes, packing: Packing, keys: Keys | None) -> bytes:
    fd = os.memfd_create("packed")
    try:
        target = Target(fd)
        pack(io.BytesIO(content), target, packing, keys if packing.encryption else None, Cancel())
        assert target.size == os.fstat(fd).st_size
        return os.pread(fd, target.size, 0)
    finally:
        os.close(fd)


def unpacked(content: bytes, packing: Packing, keys: Keys | None, most: int = 1 << 30) -> bytes:
    fd = os.memfd_create("unpacked")
    try:
        target = Target(fd, most)
        unpack(io.BytesIO(content), target, packing, keys, Cancel())
        return os.pread(fd, target.size, 0)
    finally:
        os.close(fd)


@WAYS
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_001])
def test_what_was_packed_comes_back(pair: tuple[Keys, Keys], packing: Packing, size: int) -> None:
    content = random.Random(size).randbytes(size // 2) + b"a" * (size - size // 2)
    shut = packed(content, packing, pair[0])
    assert unpacked(shut, packing, pair[1]) == content
    assert not packing.encryption or content[:1000] not in shut or size < 100


@WAYS
def test_what_was_damaged_never_comes_back_as_it_was(pair: tuple[Keys, Keys], packing: Packing) -> None:
    content = random.Random(1).randbytes(300_000)
    shut = packed(content, packing, pair[0])
    for damage in (shut[:100], shut[:-1], shut[: len(shut) // 2], b"", os.urandom(5000), shut[:999] + b"\0" + shut[1000:]):
        with suppress(CannotUnpack):
            assert unpacked(damage, packing, pair[1]) != content


def test_what_unpacks_to_more_than_it_says_is_stopped() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * 500_000_000)
    with pytest.raises(CannotUnpack, match="more than the 1000 bytes"):
        unpacked(bomb, ZSTD, None, most=1000)


def test_another_identity_opens_nothing(pair: tuple[Keys, Keys], tmp_path: Path) -> None:
    (tmp_path / "other").write_text(str(pyrage.x25519.Identity.generate()))
    shut = packed(b"x" * 100, AGE, pair[0])
    with pytest.raises(CannotUnpack, match="No matching keys"):
        unpacked(shut, AGE, identities(tmp_path / "other"))
    with pytest.raises(CannotUnpack, match="it is encrypted"):
        unpacked(shut, AGE, None)


def test_an_interrupt_and_a_full_disk_are_what_they_are(pair: tuple[Keys, Keys]) -> None:
    cancel = Cancel()
    cancel.request("Ctrl-C")
    with pytest.raises(Interrupted):
        pack(io.BytesIO(b"x" * 100), Target(1), AGE, pair[0], cancel)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            pack(io.BytesIO(os.urandom(1 << 20)), Target(full), AGE, pair[0], Cancel())
    finally:
        os.close(full)


def test_keys_of_ssh_do_too(tmp_path: Path) -> None:
    own = Ed25519PrivateKey.generate()
    (tmp_path / "id").write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = own.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    (tmp_path / "id.pub").write_bytes(public + b" alice\x1b[2J@home\n")
    able = recipients((), tmp_path / "id.pub")
    assert able is not None and able.shown[0].startswith("ssh-ed25519 AAAA") and "alice" not in able.shown[0]
    assert unpacked(packed(b"content", AGE, able), AGE, identities(tmp_path / "id")) == b"content"


@pytest.mark.parametrize("text", ["age1zz", "ssh-rsa AAAA", "alice", "AGE-SECRET-KEY-1ABC"])
def test_what_is_no_recipient_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="is no recipient of age"):
        recipients((text,), None)


def test_a_secret_is_never_quoted(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("AGE-SECRET-KEY-1WRONGWRONGWRONG")
    with pytest.raises(ConfigError) as caught:
        identities(tmp_path / "key")
    assert "WRONG" not in caught.value.what and caught.value.__cause__ is None
    with pytest.raises(ConfigError) as caught:
        recipients(("AGE-SECRET-KEY-1WRONGWRONGWRONG",), None)
    assert "WRONGWRONG" not in str(caught.value)
    (tmp_path / "empty").write_text("# nobody\n")
    with pytest.raises(ConfigError, match="names no recipient"):
        recipients((), tmp_path / "empty")
