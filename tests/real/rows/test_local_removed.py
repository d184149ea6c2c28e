"""A member of the directory that somebody else removed from the cluster: it is named, and breaks no other command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest
from conftest import RunCli

from quorate.errors import Refused
from quorate.local import cluster
from quorate.local.home import Home
from quorate.report import Notice
from real.rows.harness import until
from real.rows.local_tools import remove, roles, runs

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def removed_and_ended(home: Home, etcd: str) -> None:
    """Two voters, and m2, whose etcd ended when an operator removed it."""
    cluster.up(home, 3, etcd)
    remove(home, "m2")
    until(lambda: home.daemon("m2").ended_by_removal(), 20, "the etcd of m2 runs on")


def removed_while_down(home: Home, etcd: str) -> None:
    """As above, but its own log does not know it."""
    cluster.up(home, 3, etcd)
    cluster.kill(home, "m2")
    remove(home, "m2")


def leave_is_advised(home: Home, verb: Callable[[Home, str], object]) -> None:
    with pytest.raises(Refused, match="m2 was removed from the cluster") as refused:
        verb(home, "m2")
    assert refused.value.advice.startswith(f"quorate local leave m2 {home.layout.option}    # ")


def test_every_etcd_says_at_its_end_that_it_was_removed(home: Home, any_etcd: str) -> None:
    removed_and_ended(home, any_etcd)
    for verb in (cluster.kill, cluster.pause, cluster.resume, cluster.stop):
        leave_is_advised(home, verb)
    assert cluster.up(home).restarted == () and not runs(home, "m2")


@pytest.mark.parametrize("begun", [removed_and_ended, removed_while_down])
def test_a_removed_member_is_not_started_and_is_no_failure_of_others(
    home: Home, etcd36: str, begun: Callable[[Home, str], None]
) -> None:
    begun(home, etcd36)
    said: list[str] = []
    home.report = lambda event: said.append(event.text) if isinstance(event, Notice) else None
    assert cluster.up(home).restarted == () and not runs(home, "m2")
    assert any("m2 was removed from the cluster: 'quorate local leave m2 " in text for text in said)
    assert [one.name for one in cluster.join(home, None).joined] == ["m4"] and not runs(home, "m2")
    assert roles(home) == dict.fromkeys(("m1", "m3", "m4"), "voter")
    leave_is_advised(home, cluster.start)
    leave_is_advised(home, cluster.kill)
    cluster.leave(home, "m2")
    assert [row.name for row in home.load().members] == ["m1", "m3", "m4"] and not home.layout.member("m2").folder.exists()


def test_a_list_that_no_quorum_has_read_removes_nobody(home: Home, etcd36: str) -> None:
    """The members that run have no quorum: m2 is started, finds out, and ends; that is no failure of `up`."""
    removed_while_down(home, etcd36)
    cluster.kill(home, "m3")
    assert cluster.up(home).restarted == ("m2", "m3")
    until(lambda: home.daemon("m2").ended_by_removal(), 20, "the etcd of m2 runs on")
    cluster.down(home)
    assert cluster.up(home).restarted == ("m1", "m3")


def test_a_start_that_ends_in_the_removal_says_so(home: Home, etcd36: str) -> None:
    """Nothing runs that a list could be read from."""
    removed_and_ended(home, etcd36)
    cluster.down(home)
    leave_is_advised(home, cluster.start)


def test_a_removed_member_is_shown_as_one(home: Home, etcd36: str, cli: RunCli) -> None:
    removed_and_ended(home, etcd36)
    folder = f"--dir={home.layout.root}"
    status = cli("local", "status", folder)
    (line,) = [line for line in status.stdout.splitlines() if " m2 " in line and "leave" not in line]
    assert line.split()[1:3] == ["m2", "removed"] and "not in the member list" in line
    assert f"quorate local leave m2 {home.layout.option}" in status.stdout and status.returncode == 0
    assert json.loads(cli("local", "status", folder, "-o", "json").stdout)["processes"]["m2"] == "removed"
    (line,) = [line for line in cli("local", "list").stdout.splitlines() if line.startswith(f"{home.layout.root} ")]
    assert line.split()[1:] == ["m1,m3,m2", "(removed)", "2"]
    exports = shlex.split(cli("local", "env", folder).stdout)
    (endpoints,) = [one.partition("=")[2] for one in exports if one.startswith("ETCDCTL_ENDPOINTS=")]
    assert endpoints.split(",") == [row.client_url for row in home.load().members if row.name != "m2"]
    record = home.layout.member("m1").process
    kept = record.read_bytes()
    record.write_text("no record")
    assert cli("local", "env", folder).stdout.count("https://") == 2, "what cannot be read is no member that was removed"
    record.write_bytes(kept)


def test_one_that_was_removed_while_it_was_down_is_shown_by_the_list(home: Home, etcd36: str, cli: RunCli) -> None:
    removed_while_down(home, etcd36)
    folder = f"--dir={home.layout.root}"
    assert json.loads(cli("local", "status", folder, "-o", "json").stdout)["processes"]["m2"] == "removed"
    (line,) = [line for line in cli("local", "list").stdout.splitlines() if line.startswith(f"{home.layout.root} ")]
    assert line.split()[1:] == ["m1,m3,m2", "(removed)", "2"]
    exports = shlex.split(cli("local", "env", folder).stdout)
    assert f"QUORATE_LOCAL_DIR={home.layout.root}" in exports
    assert home.load().member("m2").client_url not in exports[2]
    cluster.kill(home, "m3")
    stale = cli("local", "status", folder)
    (line,) = [line for line in stale.stdout.splitlines() if " m2 " in line]
    assert "removed" not in line and "stopped" in line and stale.returncode == 1
