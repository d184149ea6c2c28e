"""Readers of what members of an etcd cluster, and whoever may write into it, say."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import patch

from google.protobuf.message import DecodeError

from fuzz.mutate import parts
from quorate.core.membership import ClusterView, Member, MemberStatus, find_members, lowest_margin_of, margin_of, pick
from quorate.errors import QuorateError
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.rpc import Method
from quorate.foreign import http

_CLUSTER, _MEMBER, _URL = 0xCDF818194E3A8C32, 0x8E9E05C52164694D, "http://10.0.0.2:2380"
_OURS = Member(_MEMBER, "n2", (_URL,), ("http://10.0.0.2:2379",), is_learner=True)


class _UnreadableError(QuorateError):
    """What grpc makes of bytes that are no message."""


class _Wire:
    """A channel whose answer to every call is the same bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.endpoint = "127.0.0.1:2379"

    def call(self, method: Method[Any, Any], _request: object, _timeout: float) -> object:
        try:
            return method.parse(self._content)
        except DecodeError as error:
            raise _UnreadableError("no message") from error


def join_record(content: bytes) -> None:
    """The value of a key below /quorate/joins/: who wrote it, what it says of a join, and all that is made of it."""
    from quorate.core.join_memory import as_fields, from_fields, merged
    from quorate.etcd.client.kv import KeyValue
    from quorate.etcd.coordination import join_record as records
    from quorate.etcd.coordination import pending_joins

    row = KeyValue(b"/quorate/joins/x", content, 1, 2, 0)
    request = records.SeatRequest("run", "n2", _URL, _CLUSTER)
    records.who(row)
    said = from_fields(records.fields_of(row))
    assert from_fields(as_fields(said)).member_id == said.member_id
    for known in (None, _OURS):
        memory = records.memory_for(row, request, known)
        if memory is not None:
            records.describe(request, merged(memory, said))
    view = ClusterView(_CLUSTER, (_OURS,), {}, 0.0)
    pending_joins._leftover([row], {}, view, lambda _lease: None)
    pending_joins._run_of(row)


def replacement(content: bytes) -> None:
    from quorate.deadline import SystemClock
    from quorate.etcd.client.connections import Access
    from quorate.etcd.client.kv import KeyValue
    from quorate.etcd.coordination import replacements

    row = KeyValue(b"/quorate/replace/x", content, 1, 2, 0)
    record = replacements.Replacements(cast("Access", None), (), SystemClock(), _CLUSTER, _URL)
    with patch.object(replacements, "ask_anyone", lambda *_, **__: row):
        record.is_about("n2")
        record.is_about(f"{_MEMBER:x}")
        assert 0 <= record.began(_OURS, "n2", 1) <= 1


def member_page(content: bytes) -> None:
    """Parts: the URL it is asked at, the cluster's id, the date, the body."""
    from quorate.etcd.client import peer_port

    url, cluster_id, date, body = (part for part in parts(content, 4))
    headers = {"x-etcd-cluster-id": cluster_id.decode("latin-1"), "date": date.decode("latin-1")}
    with patch.object(http.Connection, "ask", lambda *_, **__: http.Answer(200, headers, body)):
        said = peer_port.members(url.decode(errors="replace"), None, timeout=1.0)
    if said is not None:
        _look(ClusterView(said.cluster_id, said.members, {}, 0.0))


def member_list(content: bytes) -> None:
    """The answer on the wire, its checks for a new member, what the new process is told of it, and how it is printed."""
    from quorate.cli.etcd.etcdctl_format import format_member_list
    from quorate.etcd.client.member_list import ask_members
    from quorate.etcd.membership.external import environment_file, variables
    from quorate.etcd.observation.reads import _to_list

    answer = ask_members(cast("Channel", _Wire(content)), timeout=1.0, linearizable=True)
    for form in ("simple", "table", "json", "fields", "protobuf"):
        format_member_list(answer, form, as_hex=False)
        format_member_list(answer, form, as_hex=True)
    found = _to_list(answer, "flag")
    _look(ClusterView(found.cluster_id, found.members, {}, 0.0))
    environment_file(variables("n9", _URL, [(row.name, url) for row in found.members for url in row.peer_urls]))


def _look(view: ClusterView) -> None:
    """What every command asks of a list, whatever stands in it."""
    from quorate.core.new_member import new_member_findings

    new_member_findings(view, "n9", ("https://10.0.0.9:2380", "http://127.0.0.1:2380"))
    find_members(view, "n2")
    margin_of(view)
    lowest_margin_of(view)
    for text in ("n2", f"{_MEMBER:x}", _URL):
        try:
            pick(view, text)
        except QuorateError:
            continue


def member_status(content: bytes) -> None:
    """The status of a member, and what its version, sizes and errors lead to."""
    from quorate.etcd.client import maintenance

    channel = cast("Channel", _Wire(content))
    said: MemberStatus = maintenance.status(channel, timeout=1.0)
    _version(said.version)
    leader = Member(said.member_id, "n1", ("http://10.0.0.1:2380",))
    _look(ClusterView(said.cluster_id, (leader, _OURS), {said.member_id: said}, 0.0))
    maintenance.alarms(channel, timeout=1.0)


def _version(text: str) -> None:
    from quorate.core.versions import Version, can_lose_data, can_lose_publish, is_supported, upgrade_advice

    told = Version.told(text)
    assert Version.told(str(told)) == told
    for judge in (is_supported, can_lose_data, can_lose_publish, upgrade_advice):
        judge(told)


def version(content: bytes) -> None:
    """What a member says of itself, and what kubeadm's world calls a version."""
    from quorate.config.versions import is_label, parse_version

    text = content.decode(errors="replace")
    _version(text)
    is_label(text)
    parse_version(text)


def metrics(content: bytes) -> None:
    from quorate.etcd.client import metrics as pages

    page = pages.parse(content.decode(errors="replace"))
    for number in (page.sent_bytes(_MEMBER), page.fsync_seconds, *(page.number or ()), page.link_heartbeat_bytes()):
        assert number is None or number == number
    page.received_bytes(_MEMBER)
    assert {page.linked(_MEMBER), page.snapshot_in_flight(_MEMBER), page.leads, page.is_etcds} <= {True, False}
