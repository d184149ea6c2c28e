"""The user's own start command: what is found before the member is registered, and what is said when its etcd is not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.cli.etcd.join_options import JoinOptions
from quorate.cli.etcd.start_hook import restarter, starter
from quorate.core.actions import Wait
from quorate.core.decide_join import Joiner, JoinGoal, decide_join
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import Member
from quorate.deadline import Cancel
from quorate.errors import ConfigError, HostError
from quorate.etcd.membership.external import ExternalProcess
from quorate.etcd.membership.join_look import JoinLook
from quorate.etcd.membership.join_state import JoinPolicy, state_of
from quorate.etcd.membership.runtime import JoinSpec
from quorate.host import ports
from unit.fakes import FakeAccess, FakeClock
from unit.views import view

ROWS = [("d", "http://10.0.0.4:2380")]


def options(start: str | None = None, restart: str | None = None, env_file: Path | None = None) -> JoinOptions:
    return JoinOptions(start, restart, env_file, 60.0, False, False, False, False, 10.0)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("exit 3", "'exit' is no program"),
        ("/no/such/start.sh", "is no program"),
        ("", "'' is no program"),
        ("sh -c 'unfinished", "No closing quotation"),
    ],
)
def test_a_command_that_cannot_run_is_found_before_the_first_change(command: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as start:
        starter(options(start=command), Cancel())
    with pytest.raises(ConfigError, match=why) as restart:
        restarter(options(restart=command), Cancel())
    assert start.value.what.startswith("--start") and restart.value.what.startswith("--restart")
    assert start.value.state == "nothing was changed"


def test_that_no_shell_is_used_is_said() -> None:
    with pytest.raises(ConfigError) as failed:
        starter(options("exit 3"), Cancel())
    assert "without a shell" in failed.value.advice and "sh -c" in failed.value.advice


def test_a_place_for_the_variables_that_cannot_be_written_is_found_too(tmp_path: Path) -> None:
    for place in (tmp_path / "none" / "env", tmp_path):
        with pytest.raises(ConfigError, match="cannot be written"):
            starter(options(env_file=place), Cancel())
    starter(options(env_file=tmp_path / "env"), Cancel())


def test_the_variables_may_go_to_a_device(tmp_path: Path) -> None:
    link = tmp_path / "env"
    link.symlink_to("/dev/null")
    starter(options(env_file=link), Cancel())("d", ROWS)
    assert link.is_symlink()


def test_a_command_that_fails_says_where_its_reason_is(capfd: pytest.CaptureFixture[str]) -> None:
    hook = starter(options("sh -c 'echo the reason; exit 3'"), Cancel())
    with pytest.raises(HostError, match="exited with code 3") as failed:
        hook("d", ROWS)
    assert "output is above" in failed.value.advice and "the reason" in capfd.readouterr().err


def waited(clock: FakeClock, peer_url: str, start: str | None) -> JoinLook:
    """A join whose learner is listed, and whose hook has just been run."""
    runtime = ExternalProcess("m9", starter(options(start), clock.cancel))
    track = state_of(JoinSpec("m9", peer_url, None, None, JoinMemory(member_id=9, listed=True)), runtime, clock.now())
    runtime.start(ROWS)
    track.mark("started", clock.now())
    return JoinLook(FakeAccess(), clock, [], {"m9": track}, JoinPolicy(), lambda _name, _memory: None)


def said(look: JoinLook, peer_url: str) -> str:
    seen = view(1, Member(9, "", (peer_url,), (), is_learner=True))
    decision = decide_join(seen, look.goal(seen), look.clock.now())
    assert isinstance(decision, Wait) and decision.phase == "start"
    return decision.why


def test_an_etcd_that_does_not_listen_after_its_start_is_named_soon(tmp_path: Path) -> None:
    """Report 14: an etcd that is started by flags ends at once, because the variables are there as well."""
    clock = FakeClock()
    (port,) = ports.reserve(1, tmp_path / "lock")
    peer_url = f"http://127.0.0.1:{port}"
    look = waited(clock, peer_url, "true")
    assert "start command has returned" in said(look, peer_url)
    clock.pass_time(6)
    assert "nothing listens" in said(look, peer_url) and "flags repeat" in said(look, peer_url)
    with ports.listen("127.0.0.1", port):
        assert "nothing listens" in said(look, peer_url), "it is dialled once a second"
        clock.pass_time(1)
        assert "does not answer yet" in said(look, peer_url)


def test_one_that_a_person_is_to_start_is_waited_for_in_other_words(tmp_path: Path) -> None:
    clock = FakeClock()
    (port,) = ports.reserve(1, tmp_path / "lock")
    look = waited(clock, f"http://127.0.0.1:{port}", None)
    clock.pass_time(30)
    assert said(look, f"http://127.0.0.1:{port}") == "waiting for you to start its etcd on its machine"


def test_the_words_of_the_wait_are_those_that_the_look_found() -> None:
    joiner = Joiner("m9", ("http://h:1",), process="running", memory=JoinMemory(member_id=9, listed=True), awaited="for you")
    seen = view(1, Member(9, "", ("http://h:1",), (), is_learner=True))
    assert decide_join(seen, JoinGoal((joiner,)), 0.0) == Wait("start", "m9", "for you")
