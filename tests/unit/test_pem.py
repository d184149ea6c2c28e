"""PEM as Go reads it: what Kubernetes finds in a text, and nothing else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import ConfigError
from quorate.foreign.pem import blocks
from quorate.pki.certificates import certificate_pem, key_pem, make_ca, make_key
from quorate.pki.store import parse_certificate, parse_key

CA = make_ca("kubernetes", now=datetime.now(UTC), kind="ECDSA-P256")
PEM, KEY = certificate_pem(CA.certificate), key_pem(CA.key).reveal()
OTHER_LABEL = PEM.replace(b"CERTIFICATE", b"X509 CERTIFICATE")
HEADERS = PEM.replace(b"-----\n", b"-----\nA: b\n\n", 1)
BROKEN = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
ENCRYPTED = BROKEN.replace(b"PRIVATE", b"ENCRYPTED PRIVATE")
OLD_ENCRYPTED = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.rstrip(),
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"\n", b"\n\n"),
        PEM.replace(b"\n", b" \n"),
        b"text before\n" + PEM + b"text behind",
        b"-----BEGIN my file\n" + PEM,
        OTHER_LABEL + PEM,
        HEADERS + PEM,
        b"-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n" + PEM,
        KEY + PEM,
    ],
)
def test_a_certificate_that_kubernetes_finds(text: bytes) -> None:
    assert parse_certificate(text, "x") == CA.certificate


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xef\xbb\xbf" + PEM,
        b" " + PEM,
        OTHER_LABEL,
        HEADERS,
        PEM.rstrip() + PEM,
        KEY,
        PEM[:-30],
        PEM.replace(b"\n", b" "),
        PEM.replace(b"\n-----END", b"=\n-----END"),
        PEM.replace(b"\n-----END", b"====\n-----END"),
    ],
)
def test_a_certificate_that_it_does_not_find(text: bytes) -> None:
    with pytest.raises(ConfigError, match="x is not a PEM certificate that can be read"):
        parse_certificate(text, "x")


def test_a_bundle_is_read_as_a_whole_or_not() -> None:
    with pytest.raises(ConfigError):
        parse_certificate(PEM + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x")


@pytest.mark.parametrize(
    "text", [KEY, BROKEN + KEY, ENCRYPTED + KEY, OLD_ENCRYPTED + KEY, PEM + KEY, KEY.replace(b"\n", b"\n\n")]
)
def test_the_first_key_that_can_be_read_counts(text: bytes) -> None:
    assert parse_key(text, "x").public_key() == CA.key.public_key()


@pytest.mark.parametrize("text", [ENCRYPTED, OLD_ENCRYPTED])
def test_an_encrypted_key_is_called_so(text: bytes) -> None:
    with pytest.raises(ConfigError, match="x is encrypted: Kubernetes reads no such key"):
        parse_key(text, "x")


def test_all_kinds_of_keys_are_read() -> None:
    for kind in ("RSA-2048", "ECDSA-P384"):
        key = make_key(kind)
        assert parse_key(key_pem(key).reveal(), "x").public_key() == key.public_key()


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([PEM, KEY, b"-----BEGIN A-----\n", b"-----END A-----\n", b":\n"])).map(b"".join)
)
def test_whatever_stands_there_ends(text: bytes) -> None:
    for one in blocks(text):
        assert one.label is not None


def test_many_beginnings_cost_little() -> None:
    assert list(blocks(b"-----BEGIN A-----\n" * 50_000 + b"-----END B-----\n")) == []


@pytest.mark.parametrize("length", [30, 31, 32])
@pytest.mark.parametrize("more", [b"=", b"==", b"===", b"===="])
def test_no_more_is_filled_up_than_is_needed(length: int, more: bytes) -> None:
    """Whatever the length of what is in it."""
    whole = b"-----BEGIN X-----\n" + base64.b64encode(bytes(length)) + b"\n-----END X-----\n"
    assert [one.content for one in blocks(whole)] == [bytes(length)]
    assert not list(blocks(whole.replace(b"\n-----END", more + b"\n-----END")))
