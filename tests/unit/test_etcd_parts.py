"""Endpoints, TLS files and the classification of failures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.membership import Member
from quorate.deadline import SystemClock
from quorate.errors import ConfigError
from quorate.etcd.client import errors
from quorate.etcd.client.endpoint import Endpoint, TlsFiles, load_tls, parse_endpoints
from quorate.etcd.client.errors import EtcdError, Failure, classify
from quorate.etcd.client.kv import prefix_end
from quorate.etcd.observation.health import check_health
from quorate.pki.certificates import LeafSpec, make_ca, make_leaf
from quorate.pki.store import write_pair
from unit.fakes import FakeAccess
from unit.views import view


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("127.0.0.1:2379", "127.0.0.1:2379", "auto"),
        ("host", "host:2379", "auto"),
        ("https://host:1", "host:1", "on"),
        ("http://host:1/", "host:1", "off"),
        ("[::1]:2379", "[::1]:2379", "auto"),
        ("https://[fe80::2]:5", "[fe80::2]:5", "on"),
        ("https://[fe80::2%25eth0]:5", "[fe80::2%eth0]:5", "on"),
    ],
)
def test_endpoints(text: str, target: str, tls: str) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.target, endpoint.tls) == (target, tls)


@pytest.mark.parametrize("text", ["", "https://", "unix:///x", "host:port", "host:70000", "::1", "https://host/path"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ConfigError):
        Endpoint.parse(text)


def test_several_endpoints_without_repeats() -> None:
    assert [str(one) for one in parse_endpoints(["a:1, b:2,a:1", "c:3"])] == ["a:1", "b:2", "c:3"]
    with pytest.raises(ConfigError, match="no endpoint"):
        parse_endpoints([" , "])


@given(st.binary(min_size=1, max_size=6), st.binary(max_size=4))
def test_a_prefix_range_holds_exactly_the_keys_with_the_prefix(prefix: bytes, rest: bytes) -> None:
    end = prefix_end(prefix)
    assert prefix <= prefix + rest and (end == b"\0" or prefix + rest < end)
    if end != b"\0":
        assert not end.startswith(prefix)


TEXTS = {
    "etcdserver: can only promote a learner member which is in sync with leader": errors.LearnerNotReady,
    "etcdserver: can only promote a learner member": errors.NotALearner,
    "etcdserver: too many learner members in cluster": errors.TooManyLearners,
    "etcdserver: rpc not supported for learner": errors.RpcOnLearner,
    "etcdserver: re-configuration failed due to not enough started members": errors.NotEnoughStarted,
    "etcdserver: unhealthy cluster": errors.UnhealthyCluster,
    "etcdserver: member not found": errors.MemberNotFound,
    "etcdserver: member ID already exist": errors.MemberExists,
    "etcdserver: Peer URLs already exists": errors.MemberExists,
    "etcdserver: request timed out": errors.ServerTimedOut,
    "etcdserver: request timed out, possibly due to previous leader failure": errors.ServerTimedOut,
    "etcdserver: request timed out, waiting for the applied index took too long": errors.Unavailable,
    "etcdserver: no leader": errors.Unavailable,
    "etcdserver: mvcc: database space exceeded": errors.NoSpace,
    "etcdserver: corrupt cluster": errors.CorruptCluster,
    "etcdserver: invalid auth token": errors.TokenExpired,
    "etcdserver: permission denied": errors.PermissionDenied,
    "etcdserver: authentication failed, invalid user ID or password": errors.LoginFailed,
    "etcdserver: user name not found": errors.LoginFailed,
}


@pytest.mark.parametrize("status", ["UNKNOWN", "UNAVAILABLE", "FAILED_PRECONDITION"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_text_decides_whatever_the_code(text: str, status: str) -> None:
    assert type(classify(Failure(status, text, "h:1", "MemberAdd", False))) is TEXTS[text]


@pytest.mark.parametrize(
    ("status", "text", "reads_only", "kind", "disposition"),
    [
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", False, errors.AnswerLost, "ambiguous"),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", True, errors.NoAnswer, "retryable"),
        ("UNAVAILABLE", "Socket closed", False, errors.AnswerLost, "ambiguous"),
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; last error: x: Connection refused",
            False,
            errors.Unreachable,
            "retryable",
        ),
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; Ssl handshake failed: CERTIFICATE_VERIFY_FAILED",
            True,
            errors.TlsRefused,
            "final",
        ),
        ("UNKNOWN", "raft: stopped", False, errors.ServerTimedOut, "ambiguous"),
        ("UNKNOWN", "raft: stopped", True, errors.NoAnswer, "retryable"),
        ("UNKNOWN", "raft proposal dropped", False, errors.Unavailable, "retryable"),
        ("UNAVAILABLE", "etcdserver: leader changed", False, errors.ServerTimedOut, "ambiguous"),
        ("UNAVAILABLE", "etcdserver: leader changed", True, errors.NoAnswer, "retryable"),
        ("INVALID_ARGUMENT", "etcdserver: something new", False, EtcdError, "final"),
    ],
)
def test_what_the_transport_tells(status: str, text: str, reads_only: bool, kind: type, disposition: str) -> None:
    error = classify(Failure(status, text, "h:1", "MemberAdd", reads_only))
    assert type(error) is kind and error.disposition == disposition
    assert "MemberAdd at h:1" in error.what


@given(st.sampled_from(["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "UNKNOWN"]), st.text())
def test_a_change_without_an_answer_of_etcd_is_never_called_safe_to_repeat(status: str, text: str) -> None:
    error = classify(Failure(status, text, "h:1", "MemberAdd", False))
    if error.disposition == "retryable":
        known = any(part in text for part, _ in errors._TEXTS) or any(part in text for part in errors._NEVER_SENT)
        assert known


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    now = datetime.now(UTC)
    ca = make_ca("etcd-ca", now=now, kind="ECDSA-P256")
    write_pair(tmp_path / "ca", ca)
    for name in ("one", "two"):
        write_pair(tmp_path / name, make_leaf(LeafSpec(name, ("client",), kind="ECDSA-P256"), ca, now=now))
    (tmp_path / "text").write_text("hello")
    return tmp_path


def test_tls_files_that_fit(pki: Path) -> None:
    tls = load_tls(TlsFiles(pki / "ca.crt", pki / "one.crt", pki / "one.key"))
    assert tls.ca and tls.cert and "***" in repr(tls)
    assert b"PRIVATE" not in repr(tls).encode()


@pytest.mark.parametrize(
    ("ca", "cert", "key", "said"),
    [
        ("ca.crt", "one.crt", "two.key", "does not belong"),
        ("text", "one.crt", "one.key", "holds no"),
        ("ca.crt", "text", "one.key", "holds no"),
        ("none", "one.crt", "one.key", "cannot read"),
        ("ca.crt", "one.crt", None, "both cert and key"),
    ],
)
def test_tls_files_that_do_not(pki: Path, ca: str, cert: str, key: str | None, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_tls(TlsFiles(pki / ca, pki / cert, pki / key if key else None))
    assert said in refused.value.what + refused.value.advice


def test_health_lists_the_members_in_the_order_of_every_other_list() -> None:
    """By name, m2 before m10; the ids, in whose order etcd lists them, are random."""
    rows = [Member(number, name, ("http://127.0.0.1:1",)) for number, name in enumerate(("m10", "m2", "m1"), 1)]
    seen = replace(view(0), members=tuple(rows))
    with FakeAccess() as access:
        found = check_health(access, seen, SystemClock(), timeout=1.0, write=False)
    assert [one.member.name for one in found] == ["m1", "m2", "m10"]


def test_a_file_that_is_missing_is_looked_for_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as refused:
        load_tls(TlsFiles(ca=tmp_path / "none"))
    assert refused.value.advice == "check the path"
