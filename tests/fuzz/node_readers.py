"""Readers of what lies on a node or comes from its programs: files, logs, certificates, the container runtime, HTTP."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import grpc
from google.protobuf.message import DecodeError

from fuzz.mutate import parts
from fuzz.places import in_file, in_tree
from quorate.errors import QuorateError

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def state_file(content: bytes) -> None:
    from quorate.core.ids import format_id
    from quorate.core.join_memory import as_fields
    from quorate.local import state

    found = state.load(in_file(content, "cluster.json"))
    assert found is not None
    format_id(found.cluster_id)
    found.free_names()
    for member in found.members:
        as_fields(member.memory)
        assert member.client.target and member.peer_url and member.client_url
        found.member(member.name)


def process_file(content: bytes) -> None:
    from quorate.host import process_record

    found = process_record.read(in_file(content, "process.json"))
    if found is not None:
        found.find()


def journal_file(content: bytes) -> None:
    """What was recorded; a journal is then opened there and goes on behind it."""
    from quorate import journal

    path = in_file(content, "journal")
    before = journal.read(path)
    for record in before:
        again = journal.encode(record).rstrip(b"\n")
        # Escapes may have made it longer than a record can be.
        assert len(again) > 60_000 or journal.decode(again) == record, "a record that is written again is another"
    if len(content) % 8:
        # The padding of an open journal takes a while to read.
        return
    opened = journal.Journal(path)
    try:
        opened.write(journal.Record("note", 1.0, {"what": "added"}))
    finally:
        opened.close()
    assert journal.read(path)[-1].kind == "note", "what was written last is not read last"


def marker_file(content: bytes) -> None:
    from quorate.phases.base.this_node import HERE
    from quorate.phases.node import run_marker

    run_marker._read(in_tree(content, run_marker.PATH), HERE)


def lock_file(content: bytes) -> None:
    from quorate.host import lock

    fd = os.open(in_file(content, "lock"), os.O_RDONLY)
    try:
        lock._holder(fd)
    finally:
        os.close(fd)


def plan_file(content: bytes) -> None:
    from quorate.cli.etcd.plan import read_wanted

    read_wanted(in_file(content, "wanted.yaml"))


def write_ahead_log(content: bytes) -> None:
    from quorate.host.etcd_identity import data_identity

    data_identity(in_file(content, "data/member/wal/0-0.wal").parents[2])


def mount_table(content: bytes) -> None:
    from quorate.foreign import mounts

    with patch.object(Path, "read_bytes", lambda _self: content):
        for place in mounts.mounted_below(Path("/var/lib/kubelet")):
            assert place.is_relative_to("/var/lib/kubelet")


def container_log(content: bytes) -> None:
    from quorate.host.last_words import of_container

    assert len(of_container(content)) < 10_000


class _Answers:
    """A container runtime's connection whose answer to every call is the same bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def unary_unary(self, path: str, *, request_serializer: Any, response_deserializer: Callable[[bytes], Any]) -> Any:
        from quorate.host.cri import CriError

        class Answered:
            def future(self, request: Any, timeout: float) -> Any:
                return SimpleNamespace(result=lambda **_: answer(request, timeout))

        def answer(request: Any, timeout: float) -> Any:
            request_serializer(request)
            assert timeout > 0
            try:
                return response_deserializer(self._content)
            except DecodeError:
                # grpc answers with a status of its own.
                raise CriError(f"{path} answers with no message") from None

        return Answered()


def container_runtime(content: bytes) -> None:
    from quorate.host.cri import Runtime

    runtime = Runtime(cast("grpc.Channel", _Answers(content)), "/run/some.sock")
    asked: tuple[Callable[[], object], ...] = (
        runtime.version,
        runtime.unready,
        runtime.sandboxes,
        lambda: runtime.containers("etcd"),
        lambda: runtime.container_end("abc"),
        lambda: runtime.has_image("etcd:3.6"),
    )
    _all(asked)


def _all(calls: tuple[Callable[[], object], ...]) -> None:
    """Each of them, whatever the ones before it said. Raises the last typed error."""
    last: QuorateError | None = None
    for call in calls:
        try:
            call()
        except QuorateError as error:
            last = error
    if last is not None:
        raise last


def certificate(content: bytes) -> None:
    """Parts: the certificate, its CA. All that is asked of a certificate that was found."""
    from quorate.pki import store
    from quorate.pki.sealing import pins_of

    pem, ca_pem = parts(content, 2)
    path = in_file(pem, "leaf.crt")
    found = store.read_certificate(path)
    ca = store.parse_certificate(ca_pem, "ca.crt")
    both: tuple[Any, ...] = ("server", "client")
    _all(
        (
            lambda: store.flaws(found, str(path), ca=ca, names=("localhost", "127.0.0.1"), now=_NOW, usages=both),
            lambda: store.problems(path, ca=ca, names=(), now=_NOW),
            lambda: store.ca_flaws(found, str(path), now=_NOW),
            lambda: pins_of(pem),
            lambda: _renewed(found),
        )
    )


def _renewed(old: Any) -> object:
    from datetime import timedelta

    from quorate.pki.certificates import Pair, renew_leaf
    from quorate.pki.store import parse_certificate, parse_key

    folder = Path(__file__).parent / "corpus" / "key"
    ca_pem, key_pem = parts((folder / "ca").read_bytes(), 2)
    ca = Pair(parse_certificate(ca_pem, "ca"), parse_key(key_pem, "ca"))
    return renew_leaf(old, ca, now=_NOW, validity=timedelta(days=1), key=ca.key)


def key(content: bytes) -> None:
    """Parts: a certificate, its key; read as a pair, and used for TLS towards an API server and towards etcd."""
    from quorate.etcd.client.endpoint import TlsFiles, load_tls
    from quorate.kube import tls
    from quorate.pki import certificates, store
    from quorate.secret import Secret

    pem, key_pem = parts(content, 2)
    crt, own = in_file(pem, "pair.crt"), in_file(key_pem, "pair.key")
    _all(
        (
            lambda: certificates.key_pem(store.read_pair(crt.with_name("pair")).key),
            lambda: certificates.public_key_pem(store.parse_key(key_pem, "a key")),
            lambda: tls.context(pem, pem, Secret(key_pem)),
            lambda: load_tls(TlsFiles(crt, crt, own)),
        )
    )


def ca_bundle(content: bytes) -> None:
    """Whom TLS is to trust."""
    from quorate.kube import tls
    from quorate.pki.sealing import pins_of

    _all((lambda: tls.context(content), lambda: pins_of(content)))


def http_answer(content: bytes) -> None:
    """Everything a server sends on one connection, then it closes."""
    from quorate.foreign import http

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs, patch.object(http, "_connect", lambda *_: ours):
        theirs.setblocking(False)
        theirs.send(content[: 1 << 16] or b"\r\n")
        theirs.shutdown(socket.SHUT_WR)
        with http.Connection(http.Site("localhost", 1)) as connection:
            connection.ask(http.Request("GET", "/members"), seconds=1.5, most_bytes=1 << 16)


def shown_text(content: bytes) -> None:
    """The exit for text of others: nothing that is not drawn leaves it, and a shell reads back what was meant."""
    import shlex

    from quorate.foreign.text import MOST_LETTERS, assignment, to_paste, visible

    text = content.decode("utf-8", "surrogatepass" if b"\xed\xa0\x80" in content else "replace") if _is_text(content) else ""
    shown = visible(text)
    assert shown.isprintable() and len(shown) <= MOST_LETTERS * 10
    pasted = to_paste("echo", text)
    assert pasted.isprintable()
    if text.isprintable():
        assert shlex.split(pasted) == ["echo", text]
    try:
        assert "\n" not in assignment("NAME", text)
    except ValueError:
        return


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return b"\xed\xa0\x80" not in content
    return True
