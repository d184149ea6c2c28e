"""`member list` byte for byte as etcdctl 3.6 prints it: simple, table, json, fields, protobuf; with and without --hex."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorate.foreign.text import visible

if TYPE_CHECKING:
    from quorate.etcd.client.wire_pb2 import Header, Member, MembersResponse

_HEADERS = ("ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")


def format_member_list(answer: MembersResponse, form: str, *, as_hex: bool) -> bytes:
    """Returns what etcdctl writes to stdout for this answer. `form` is one of its `-w` values."""
    match form:
        case "simple":
            return _lines(", ".join(_row(member)) for member in answer.members)
        case "table":
            return _lines(_table([_row(member) for member in answer.members]))
        case "fields":
            return _lines(_fields(answer, as_hex=as_hex))
        case "protobuf":
            return answer.SerializeToString(deterministic=True)
        case _:
            return (_hex_json(answer) if as_hex else _json(answer)) + b"\n"


def _lines(lines: object) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()  # type: ignore[attr-defined]


def _row(member: Member) -> tuple[str, ...]:
    """Returns a member's cells. Ids are hex with and without --hex. Unprintable characters are escaped; etcdctl prints them
    raw."""
    return (
        f"{member.ID:x}",
        "started" if member.name else "unstarted",
        visible(member.name),
        visible(",".join(member.peerURLs)),
        visible(",".join(member.clientURLs)),
        "true" if member.isLearner else "false",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table. Headers are centred, with the odd blank on the right; cells are right-aligned."""
    widths = [max(map(len, column)) for column in zip(_HEADERS, *rows, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    head = [_centred(header, width) for header, width in zip(_HEADERS, widths, strict=True)]
    body = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return [rule, _bar(head), rule, *map(_bar, body), rule]


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _centred(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text.ljust(width - left)


def _fields(answer: MembersResponse, *, as_hex: bool) -> list[str]:
    number = (lambda value: f"{value:x}") if as_hex else str
    lines = [
        f'"ClusterID" : {number(answer.header.cluster_id)}',
        f'"MemberID" : {number(answer.header.member_id)}',
    ]
    if answer.header.revision:
        lines.append(f'"Revision" : {answer.header.revision}')
    lines.append(f'"RaftTerm" : {answer.header.raft_term}')
    for member in answer.members:
        lines += [f'"ID" : {number(member.ID)}', f'"Name" : {_quoted(member.name)}']
        lines += [f'"PeerURL" : {_quoted(url)}' for url in member.peerURLs]
        lines += [f'"ClientURL" : {_quoted(url)}' for url in member.clientURLs]
        lines += [f'"IsLearner" : {"true" if member.isLearner else "false"}', ""]
    return lines


def _quoted(text: str) -> str:
    return _drawn(json.dumps(text, ensure_ascii=False))


def _drawn(text: str) -> str:
    """Returns the JSON with all unprintable characters escaped, so that none moves the cursor. Go leaves some unescaped."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def _json(answer: MembersResponse) -> bytes:
    """Returns JSON with decimal ids, without empty and false fields, as Go's encoder prints these types."""
    members = [_without_empty(_member_json(member, member.ID)) for member in answer.members]
    return _go_json({"header": _without_empty(_header_json(answer.header)), "members": members})


def _hex_json(answer: MembersResponse) -> bytes:
    """Returns JSON with hex ids as etcdctl 3.6 prints it: without `isLearner`, with empty names, and `null` for empty lists."""
    header = _header_json(answer.header)
    hexed = {**header, "cluster_id": f"{answer.header.cluster_id:x}", "member_id": f"{answer.header.member_id:x}"}
    members = [_member_json(member, f"{member.ID:x}") for member in answer.members]
    for member in members:
        del member["isLearner"]
        member.update({name: None for name in ("peerURLs", "clientURLs") if not member[name]})
    return _go_json({"header": _without_empty(hexed), "members": members})


def _header_json(header: Header) -> dict[str, object]:
    return {
        "cluster_id": header.cluster_id,
        "member_id": header.member_id,
        "revision": header.revision,
        "raft_term": header.raft_term,
    }


def _member_json(member: Member, shown_id: object) -> dict[str, object]:
    return {
        "ID": shown_id,
        "name": member.name,
        "peerURLs": list(member.peerURLs),
        "clientURLs": list(member.clientURLs),
        "isLearner": member.isLearner,
    }


def _without_empty(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _go_json(value: object) -> bytes:
    """Returns compact JSON with <, >, &, U+2028 and U+2029 escaped, as Go does by default."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _drawn(text).encode()
