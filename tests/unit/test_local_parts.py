"""Saved state, names and command lines of local clusters."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, MakeHome

from quorate.core.versions import Version
from quorate.errors import ConfigError, HostError, Refused
from quorate.files import remove_tree
from quorate.host.environment import for_programs
from quorate.host.last_words import ended_by_removal
from quorate.local import state
from quorate.local.layout import Layout, check_name, default_folder
from quorate.local.runtime import daemon_of, spec_of
from quorate.local.size import check_room, check_size, refuse_shrinking
from quorate.local.state import LocalMember, State
from quorate.member.spec import flags as flags_of
from quorate.member.spec import settings

MEMBER = LocalMember("m1", 15001, 15002, "/bin/etcd", "first")
STATE = State("token", 6, 7, (MEMBER,))


@pytest.mark.parametrize("name", ["m1", "node-a.example_1", "0", "a" * 63])
def test_names_that_are_fine(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a,b", "a=b", "../m1", "a/b", "-m", ".m", "m 1", "m\n", "ä", "a" * 64, "$(id)"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a member name"):
        check_name(name)


def test_the_state_survives_saving(tmp_path: Path) -> None:
    state.save(tmp_path / "s", STATE)
    assert state.load(tmp_path / "s") == STATE
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    assert state.load(tmp_path / "none") is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 99, "members": []}', '{"format": 1, "members": [{"x": 1}]}', "\xff"]
)
def test_a_state_that_is_not_ours(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match="not the state of a local cluster"):
        state.load(tmp_path / "s")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda stored: stored.update(colour="red"),
            "a newer version wrote it, or it was edited: the key .colour. is",
        ),
        (lambda stored: stored["members"][0].update(shape="round"), "the key 'shape' is unknown"),
        (lambda stored: stored["members"].append(stored["members"][0]), "several members of the name m1"),
    ],
)
def test_a_state_with_what_we_never_write_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    state.save(tmp_path / "s", STATE)
    stored = json.loads((tmp_path / "s").read_text())
    change(stored)
    (tmp_path / "s").write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match=said):
        state.load(tmp_path / "s")


def test_an_empty_home_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(HostError, match="no home directory"):
        default_folder()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (".cluster.json.quorate-cc995f67", True),
        (".wanted.json.quorate-00000000", True),
        (".cluster.json.quorate-cc995f6", False),
        (".cluster.json.quorate-CC995F67", False),
        (".other.json.quorate-cc995f67", False),
        ("cluster.json.quorate-cc995f67", False),
        (".quorate-cc995f67", False),
        (".cluster.json.cc995f67", False),
    ],
)
def test_what_a_killed_write_leaves_is_known_by_its_name(name: str, ours: bool) -> None:
    assert Layout(Path("/x")).is_leftover(name) is ours


def test_members_come_and_go() -> None:
    grown = STATE.with_member(LocalMember("m3", 1, 2, "/bin/etcd", "joining"))
    assert grown.free_names()[:2] == ["m2", "m4"]
    assert grown.without("m3") == STATE
    with pytest.raises(ConfigError, match="no member 'm9'; it has: m1, m3"):
        grown.member("m9")


def flags(version: str, member: LocalMember = MEMBER) -> list[str]:
    paths = Layout(Path("/x")).member("m1")
    spec = spec_of(member, paths, STATE, Version.parse(version))
    return flags_of(settings(spec, [("m1", "https://a:1"), ("m2", "https://b:2")]))


def test_command_lines_by_version() -> None:
    assert "--initial-cluster=m1=https://a:1,m2=https://b:2" in flags("3.6.0")
    assert "--max-learners=6" in flags("3.6.0") and not any("max-learners" in flag for flag in flags("3.5.35"))
    assert "--enable-log-rotation=true" in flags("3.5.0") and "--enable-log-rotation=true" not in flags("3.4.23")
    assert "--client-cert-auth=true" in flags("3.4.23") and "--peer-client-cert-auth=true" in flags("3.4.23")
    rotation = next(flag for flag in flags("3.6.0") if "rotation-config" in flag).partition("=")[2]
    assert json.loads(rotation)["maxbackups"] == 2


def test_only_the_first_member_may_begin_a_cluster() -> None:
    assert "--initial-cluster-state=new" in flags("3.6.0")
    for phase in ("joining", "member", "leaving"):
        assert "--initial-cluster-state=existing" in flags("3.6.0", replace(MEMBER, phase=phase))


def test_etcds_own_variables_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_NAME", "intruder")
    assert "ETCD_NAME" not in for_programs(os.environ)


REFUSED = """{"level":"warn","msg":"check file permission","error":"directory is drwxr-xr-x"}
{"level":"warn","msg":"failed to get cluster response","address":"m1","error":"Get m1: remote error: tls: unknown CA"}
{"level":"warn","msg":"failed to get cluster response","address":"m2","error":"Get m2: connection refused"}
{"level":"error","msg":"bootstrap failed","error":"could not retrieve cluster information"}
{"level":"info","msg":"closed etcd server"}
{"level":"fatal","msg":"discovery failed","error":"could not retrieve cluster information"}
"""


REMOVED = """{"level":"info","msg":"starting an etcd server"}
{"level":"warn","msg":"server error","error":"the member has been permanently removed from the cluster"}
{"level":"warn","msg":"data-dir used by this member must be removed"}
{"level":"fatal","msg":"listener failed","error":"server is stopping"}
"""
AGAIN = '{"level":"info","msg":"starting an etcd server"}\n'


@pytest.mark.parametrize(
    ("log", "output", "said"),
    [
        (REMOVED, "", "the member has been permanently removed from the cluster"),
        (REMOVED + AGAIN + '{"level":"fatal","msg":"listener failed","error":"in use"}\n', "", "listener failed: in use"),
        (
            '{"level":"info","msg":"fine"}\n{"level":"fatal","msg":"discovery failed","error":"no space left"}\n',
            "",
            "discovery failed: no space left",
        ),
        (
            REFUSED,
            "",
            "failed to get cluster response: Get m1: remote error: tls: unknown CA; discovery failed: could not",
        ),
        (
            REFUSED.replace("could not retrieve cluster information", "member count is unequal"),
            "",
            "discovery failed: member count",
        ),
        ("", "panic: boom\ngoroutine 1\n", "panic: boom"),
        ('{"level":"info","msg":"fine"}\n', "", "gives no reason"),
        ("not json\n", "flag provided but not defined: -x\n", "flag provided but not defined: -x"),
    ],
)
def test_why_a_member_ended(tmp_path: Path, log: str, output: str, said: str) -> None:
    paths = Layout(tmp_path).member("m1")
    paths.folder.mkdir(parents=True)
    paths.log.write_text(log)
    paths.output.write_text(output)
    assert said in daemon_of(paths).last_words()


@pytest.mark.parametrize(("log", "removed"), [(REMOVED, True), (REMOVED + AGAIN, False), (AGAIN, False), ("", False)])
def test_only_the_last_etcd_that_wrote_the_log_says_that_it_was_removed(tmp_path: Path, log: str, removed: bool) -> None:
    assert ended_by_removal(log.splitlines()) is removed


def test_a_symlink_is_not_followed_when_deleting(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(HostError, match="symlink"):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "precious").exists()
    remove_tree(tmp_path / "none")


def advised(path: Path) -> list[str]:
    """The texts of a module that hold a command of `quorate local`, as they are written; docstrings and plain help aside."""
    tree = ast.parse(path.read_text())
    inside = {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node
    }
    inside |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in inside]
    return [text for text in map(ast.unparse, texts) if re.search(r"quorate local [a-z]", text)]


@pytest.mark.parametrize("room", ["local", "cli/local"])
def test_a_command_that_is_advised_is_of_this_cluster(room: str) -> None:
    """Pasted without --dir it would act on the cluster in the default directory."""
    texts = [text for path in sorted((ROOT / "src/quorate" / room).glob("*.py")) for text in advised(path)]
    assert len(texts) > 3
    plain = ("start one with: quorate local up", "'quorate local status'", "'quorate local leave'")
    left = [text for text in texts if not re.search(r"\.option|\{where\}|--dir|_dir_argument", text)]
    assert [text for text in left if not any(one in text for one in plain)] == []


def test_advice_on_sizes_can_be_pasted(make_home: MakeHome) -> None:
    home = make_home()
    where = home.layout.option
    with pytest.raises(Refused) as refused:
        refuse_shrinking(home, ["m1", "m2"], 1)
    assert refused.value.advice == f"quorate local up --members 2 {where}    # or: quorate local leave m2 {where}"
    with pytest.raises(ConfigError) as wrong:
        check_size(home, 8)
    assert wrong.value.advice == f"quorate local up --members 7 {where}"
    with pytest.raises(ConfigError) as full:
        check_room(home, 7)
    assert full.value.advice.startswith(f"quorate local leave NAME --accept-reduced-tolerance {where}    # ")
    check_room(home, 6)


def test_who_leaves_by_the_advice_is_of_this_directory_and_consents_where_fewer_may_fail(make_home: MakeHome) -> None:
    home = make_home()
    home.layout.root.mkdir()
    home.save(replace(STATE, members=tuple(replace(MEMBER, name=f"m{number}") for number in range(1, 5))))
    where = home.layout.option
    with pytest.raises(Refused) as refused:
        refuse_shrinking(home, ["m1", "m2", "m3", "m4", "of-others"], 3)
    leave = f"quorate local leave m4 --accept-reduced-tolerance {where} && quorate local leave m3 {where}"
    assert refused.value.advice == f"quorate local up --members 5 {where}    # or: {leave}"
