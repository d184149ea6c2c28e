"""A member that answers gRPC as no etcd does: huge, odd, hostile, or another's; against the commands that look at members."""

from __future__ import annotations

import json
import resource
import time

import pytest

from hostile.members import Answers, etcd, members, row, status
from quorate.cli.main import run_with
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.observation.reads import local_list

FORGED = "\x1b[2J\nThis node has joined the cluster\n[/x]"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_name_of_forty_megabytes_is_not_kept() -> None:
    """Row e6: 845 MB for a name of 200 MB."""
    huge = members(row(1, "x" * (40 << 20)))
    with (
        etcd({"MemberList": huge, "Status": status()}) as port,
        Channel(Endpoint("127.0.0.1", port)) as channel,
        pytest.raises(EtcdError) as refused,
    ):
        local_list(channel, timeout=10)
    assert len(str(refused.value)) < 1000


ODD: dict[str, Answers] = {
    "a version that is none": {"MemberList": members(row(1, "m1")), "Status": status(version="banana")},
    "a version of 20 kB of digits": {"MemberList": members(row(1, "m1")), "Status": status(version="1" * 20_000)},
    "a name that forges": {"MemberList": members(row(1, FORGED)), "Status": status()},
    "an error that forges": {"MemberList": members(row(1, "m1")), "Status": status(errors=[FORGED])},
    "URLs that are none": {
        "MemberList": members(wire.Member(ID=1, name="m1", peerURLs=["http://[", FORGED], clientURLs=["http://[::1", "x:y"])),
        "Status": status(),
    },
    "no URL at all": {"MemberList": members(wire.Member(ID=1, name="m1")), "Status": status()},
    "no members": {"MemberList": members(), "Status": status()},
    "ids of zero": {"MemberList": members(row(0, "m0"), row(0, "")), "Status": status(leader=0)},
    "the same member twice": {"MemberList": members(row(1, "m1"), row(1, "m1")), "Status": status()},
    "ten thousand members": {"MemberList": members(*(row(n, f"m{n}") for n in range(1, 10_001))), "Status": status()},
    "bytes that are no message": {"MemberList": lambda: wire.PutRequest(key=b"\xff" * 50), "Status": status()},
    "no such methods": {},
}


@pytest.mark.parametrize("answers", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize(
    "command", ["status", "members", "health", "member list", "member list -w table", "member list -w json"]
)
def test_what_one_member_says_ends_no_command_in_a_traceback(
    command: str, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    before, began = peak(), time.monotonic()
    with etcd(answers) as port:
        code = run_with(["etcd", *command.split(), f"--endpoints=127.0.0.1:{port}", "--command-timeout=2s"])
    told = capsys.readouterr()
    assert code in (0, 1, 3, 4, 5)
    assert "unforeseen" not in told.err and "should not happen" not in told.err, told.err
    assert "\x1b[2J" not in told.out + told.err
    assert not any(line.startswith("This node has joined") for line in (told.out + told.err).splitlines())
    assert time.monotonic() - began < 40
    assert peak() - before < 200 << 20


@pytest.mark.parametrize("answers", [ODD["a name that forges"], ODD["an error that forges"]])
def test_json_of_a_hostile_member_is_json(answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    with etcd(answers) as port:
        run_with(["etcd", "status", "-o", "json", f"--endpoints=127.0.0.1:{port}"])
    told = capsys.readouterr().out
    assert json.loads(told)["members"]
    assert "\x1b" not in told


def test_it_is_said_when_members_are_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a quorum every command was silent for 14 seconds and more."""

    def late() -> wire.MembersResponse:
        time.sleep(2.6)
        return members(row(1, "m1"))()

    with etcd({"MemberList": late, "Status": status()}) as port:
        run_with(["etcd", "status", f"--endpoints=127.0.0.1:{port}"])
    said = f"still waiting, 2 s: no answer yet from 127.0.0.1:{port} (MemberList)"
    assert capsys.readouterr().err.count(said) == 1
