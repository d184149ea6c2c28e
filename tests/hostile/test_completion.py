"""A TAB among hostile members: names that are commands, servers that never answer, and logins that would ask."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tabs import INSTALLED, SHELLS, ask, prompt, typed

from hostile.members import etcd, members, row
from hostile.servers import server, silent
from quorate.etcd.client import wire_pb2 as wire

HOSTILE = (
    "$(touch owned)",
    "`touch owned`",
    "; touch owned #",
    "x\nplain,evil\nplain\nevil\n_",
    "a,b",
    "tab\there",
    "quote'",
    'double"',
    "back\\slash",
    "--accept-reduced-tolerance",
    "-f",
    "*",
    "~root",
    "a b",
    "a=b",
    "x:y",
    "{a,b}",
    "é\u202e",
    "\x1b[2J",
    "",
    "x" * 5000,
)
ROWS = [row(number, name) for number, name in enumerate(HOSTILE, 0x100)]


@pytest.mark.parametrize("shell", SHELLS)
def test_only_names_that_are_plain_words_are_completed(shell: str) -> None:
    """The other members are offered by their ids."""
    with etcd({"MemberList": members(row(1, "good"), *ROWS, row(2, "m-2.example_x"))}) as port:
        answer = ask("quorate etcd remove ", shell, ETCDCTL_ENDPOINTS=f"127.0.0.1:{port}")
        ids = [f"{one.ID:x}" for one in ROWS]
        assert answer.rows == [("plain", word) for word in ("good", *ids, "m-2.example_x")]
        assert ask(f"quorate etcd replace --endpoints 127.0.0.1:{port} m", shell).words == ["m-2.example_x"]
        assert ask(f"quorate etcd member remove --endpoints=127.0.0.1:{port} 10", shell).words == ids[:16]


def test_a_name_that_two_members_have_is_no_name() -> None:
    with etcd({"MemberList": members(row(1, "same"), row(0xAB, "same"), row(3, "other"))}) as port:
        assert ask(f"quorate etcd remove --endpoints 127.0.0.1:{port} ").words == ["1", "ab", "other"]


def test_by_the_role_that_a_verb_takes() -> None:
    learner = wire.Member(ID=7, name="learner", peerURLs=["http://127.0.0.1:1"], isLearner=True)
    with etcd({"MemberList": members(row(1, "voter"), learner)}) as port:
        known = {"ETCDCTL_ENDPOINTS": f"127.0.0.1:{port}"}
        assert ask("quorate etcd promote ", **known).words == ["learner"]
        assert ask("quorate etcd move-leader ", **known).words == ["voter"]
        assert ask("quorate etcd member promote ", **known).words == ["7"]
        assert ask("quorate etcd remove ", **known).words == ["voter", "learner"]
        assert ask("quorate etcd replace voter ", **known).rows == []


@pytest.mark.parametrize("shell", INSTALLED)
def test_no_name_becomes_a_command_in_a_real_shell(shell: str, tmp_path: Path) -> None:
    """TAB twice lists, Enter runs whatever has come into the line."""
    with etcd({"MemberList": members(*ROWS, row(1, "good"))}) as port, prompt(shell, tmp_path) as shown:
        for begun in ("", "'", "$", "*"):
            typed(shown, f"true quorate; quorate etcd remove --dry-run --endpoints 127.0.0.1:{port} {begun}\t\t\x15\r")
        typed(shown, f"true etcd; quorate etcd remove --endpoints 127.0.0.1:{port} g\t\x01: \r echo do'n'e\r")
        shown.until(lambda: any(line.endswith("done") for line in shown.lines))
        assert f"remove --endpoints 127.0.0.1:{port} good" in "".join(shown.lines)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "flags",
    [
        "--endpoints 127.0.0.1:1",
        "--endpoints nonsense",
        "--endpoints 127.0.0.1:{port}",
        "--endpoints https://127.0.0.1:{port} --cacert /dev/null",
        "--endpoints 127.0.0.1:{port} --user root",
        "--endpoints 127.0.0.1:{port} --user root --password-file {pipe}",
        "--endpoints 127.0.0.1:{port} --user root:word",
        "--endpoints 127.0.0.1:{port} --command-timeout 60s",
        "--endpoints 127.0.0.1:{port} --command-timeout x",
        "--cacert /nonexistent",
    ],
)
def test_no_answer_is_silence(flags: str, tmp_path: Path) -> None:
    """No prompt, no message, and no wait for a server or a pipe that gives nothing."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with server(silent) as port:
        assert ask(f"quorate etcd remove {flags.format(port=port, pipe=pipe)} ", ETCDCTL_API="3").rows == []


def test_no_password_is_asked_for_on_a_terminal(tmp_path: Path) -> None:
    with etcd({"MemberList": members(row(1, "good"))}) as port, prompt("bash", tmp_path) as shown:
        typed(shown, f"quorate etcd remove --user root --endpoints 127.0.0.1:{port} \tnext\x01: \r echo do'n'e\r")
        shown.until(lambda: any(line.endswith("done") for line in shown.lines))
        assert "Password" not in "\n".join(shown.lines)


@pytest.mark.parametrize("code", ["MemberAdd", "MemberRemove", "Put", "MoveLeader", "Status"])
def test_a_tab_only_lists(code: str) -> None:
    """The one question is for the list, so that nothing can be changed by a TAB."""
    asked: list[str] = []

    def noting() -> wire.MembersResponse:
        asked.append(code)
        return wire.MembersResponse()

    with etcd({"MemberList": members(row(1, "good")), code: noting}) as port:
        assert ask(f"quorate etcd remove --endpoints 127.0.0.1:{port} ").words == ["good"]
    assert not asked
