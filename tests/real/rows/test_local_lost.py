"""Members whose data is gone: the advice restores the size, or makes the cluster anew of what is left."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable

import pytest
from conftest import RunCli

from quorate.cli.main import run_with
from quorate.errors import HostError, QuorateError, Refused
from quorate.local import cluster
from quorate.local.home import Home
from real.rows.harness import until
from real.rows.local_tools import must, remove, roles, runs

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def lose(home: Home, *names: str) -> None:
    for name in names:
        cluster.stop(home, name)
        shutil.rmtree(home.layout.member(name).data)


def followed(cli: RunCli, advice: str) -> None:
    """Runs every command of the advice as it stands there."""
    for command in advice.partition("    # ")[0].split(" && "):
        done = cli(*shlex.split(command)[1:])
        assert done.returncode == 0, (command, done.stderr)


def test_the_advice_for_members_without_data_restores_the_size(home: Home, etcd36: str, cli: RunCli) -> None:
    """It left the cluster one member short, and after two losses by two."""
    cluster.up(home, 5, etcd36)
    lose(home, "m4", "m5")
    with pytest.raises(HostError, match="m4 and m5 have no data") as failed:
        cluster.up(home)
    followed(cli, failed.value.advice)
    assert list(roles(home).values()) == ["voter"] * 5 and cluster.up(home).restarted == ()


def test_a_start_without_data_names_what_can_work(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 3, etcd36)
    lose(home, "m2")
    with pytest.raises(HostError, match="m2 has no data") as failed:
        cluster.start(home, "m2")
    followed(cli, failed.value.advice)
    assert list(roles(home).values()) == ["voter"] * 3


def test_leave_prints_how_to_get_the_size_back(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 3, etcd36)
    lose(home, "m2")
    done = cli("local", "leave", "m2", "--dir", str(home.layout.root))
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0 and last.startswith("3 voters again: quorate local up --members 3 ")
    followed(cli, last.partition(": ")[2])
    assert list(roles(home).values()) == ["voter"] * 3


def test_leave_of_what_was_no_voter_names_no_other_size(home: Home, etcd36: str, cli: RunCli) -> None:
    """It offered four voters after a standby had left three, and four where one of four is one more than is of use."""
    cluster.up(home, 3, etcd36)
    where = ("--dir", str(home.layout.root))
    for words in (("join", "s1", "--standby"), ("join", "m4")):
        assert cli("local", *words, *where, "--etcd", etcd36).returncode == 0
        left = cli("local", "leave", words[1], *where)
        assert left.returncode == 0 and "3 of 3 voters answer" in left.stdout and "again" not in left.stdout
    remove(home, "m3")
    assert "again" not in cli("local", "leave", "m3", *where).stdout, "its vote went before"


def test_a_lost_majority_of_data_is_no_circle_of_advice(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 2, etcd36)
    must(home, "put", "precious", "data")
    lose(home, "m2")
    verbs: list[Callable[[], object]] = [
        lambda: cluster.up(home),
        lambda: cluster.start(home, "m2"),
        lambda: cluster.leave(home, "m2"),
        lambda: cluster.join(home, None),
        lambda: cluster.replace_member(home, "m2", "m3"),
    ]
    told: set[str] = set()
    for verb in verbs:
        with pytest.raises(QuorateError, match="of 2 voters only m1 has data, fewer than the quorum of 2") as failed:
            verb()
        assert f"the data of m1 remains in {home.layout.members}" in failed.value.state
        assert f"quorate local down --purge {home.layout.option}" in failed.value.advice
        told.add(failed.value.advice.partition("    # ")[0])
    assert home.load().member("m2").phase == "member"
    (advice,) = told
    assert advice == f"quorate local recover {home.layout.option}"
    followed(cli, advice)
    assert roles(home) == {"m1": "voter"} and [one.phase for one in home.load().members] == ["first"]
    cluster.up(home, 3)
    assert list(roles(home).values()) == ["voter"] * 3 and must(home, "get", "precious", "--print-value-only").strip() == "data"


def test_a_cluster_is_recovered_as_often_as_it_is_lost(home: Home, etcd36: str, cli: RunCli) -> None:
    """What was made of it the first time is kept beside what is made the second time."""
    cluster.up(home, 3, etcd36)
    where = ("--dir", str(home.layout.root))
    assert cli("local", "recover", *where).returncode == 4, "it is not lost"
    for number in ("one", "two"):
        must(home, "put", number, "data")
        lose(home, "m2", "m3")
        done = cli("local", "recover", *where)
        assert done.returncode == 0, done.stderr
        cluster.up(home, 3)
    kept = [path.name for path in home.layout.member("m1").data.parent.iterdir() if "quorate-kept" in path.name]
    assert len(kept) == 2 and list(roles(home).values()) == ["voter"] * 3
    assert [must(home, "get", number, "--print-value-only").strip() for number in ("one", "two")] == ["data", "data"]


def test_a_recovery_that_was_killed_before_it_cleaned_is_ended_by_the_same_command(
    home: Home, etcd36: str, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that nothing was lost, and the autopilot was not paused; a NOSPACE of a dead member stopped every write."""
    cluster.up(home, 3, etcd36)
    where = ("--dir", str(home.layout.root))
    lose(home, "m2", "m3")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "start", die)
        assert run_with(["local", "recover", *where]) == 130
    done = cli("local", "recover", *where)
    assert done.returncode == 0 and must(home, "get", "/quorate/recovered", "--print-value-only"), done.stderr
    assert "paused" in cli("autopilot", "status", *where).stdout
    assert cli("local", "recover", *where).returncode == 4, "it is not lost"


def test_of_several_that_are_left_the_one_with_the_newest_log_is_used(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 5, etcd36)
    lose(home, "m1")
    must(home, "put", "before", "data")
    cluster.stop(home, "m5")
    must(home, "put", "since", "data")
    for name in ("m2", "m3", "m4"):
        cluster.kill(home, name)
    for name in ("m2", "m3"):
        shutil.rmtree(home.layout.member(name).data)
    done = cli("local", "recover", "--dir", str(home.layout.root))
    assert done.returncode == 0 and "from m4" in done.stdout, done.stderr
    assert [must(home, "get", key, "--print-value-only").strip() for key in ("before", "since")] == ["data", "data"]
    assert not home.layout.member("m5").data.exists(), "it is held: its etcd would look for the old cluster"


@pytest.mark.parametrize("is_started", [False, True])
def test_every_local_command_says_that_too_little_is_left(home: Home, etcd36: str, cli: RunCli, is_started: bool) -> None:
    """`status`, `members` and `leave` sent the user to `up`, which cannot help."""
    cluster.up(home, 3, etcd36)
    for name in ("m1", "m2", "m3"):
        cluster.kill(home, name)
    for name in ("m1", "m2"):
        shutil.rmtree(home.layout.member(name).data)
    if is_started:
        cluster.start(home, "m3")
    for words in (["status"], ["members"], ["leave", "m1"], ["join", "m4"]):
        done = cli("local", *words, "--dir", str(home.layout.root))
        assert done.returncode == 1 and "of 3 voters only m3 has data, fewer than the quorum of 2" in done.stderr, words


def test_too_little_by_the_saved_state_is_enough_where_the_others_were_removed(home: Home, etcd36: str) -> None:
    """One voter of three is left, and the data of the two that an operator removed is gone."""
    cluster.up(home, 3, etcd36)
    lose(home, "m2")
    remove(home, "m2")
    remove(home, "m3")
    until(lambda: not runs(home, "m3"), 20)
    shutil.rmtree(home.layout.member("m3").data)
    home.layout.member("m3").log.unlink()
    cluster.down(home)
    grown = cluster.up(home)
    assert grown.restarted == ("m1",) and roles(home) == {"m1": "voter"}


def test_who_is_down_is_named(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    cluster.kill(home, "m2")
    cluster.kill(home, "m3")
    with pytest.raises(Refused, match="no quorum") as refused:
        cluster.leave(home, "m1")
    assert refused.value.advice == f"quorate local up {home.layout.option}    # starts m2, m3; then run the same command again"
