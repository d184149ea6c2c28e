"""A local cluster that raised an alarm: it gets no member, and says whose alarm it is."""

from __future__ import annotations

import pytest
from conftest import RunCli

from quorate.core.ids import format_id
from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.local import cluster
from quorate.local.home import Home

pytestmark = pytest.mark.real


@pytest.fixture
def alarmed(home: Home, etcd36: str) -> Home:
    """Three voters, of which m2 raised NOSPACE."""
    cluster.up(home, 3, etcd36)
    member = next(voter for voter in home.look().voters if voter.name == "m2")
    request = wire.AlarmRequest(action=wire.AlarmRequest.ACTIVATE, memberID=member.id, alarm=wire.NOSPACE)
    with home.access() as access:
        access.channel(home.seeds()[0]).call(rpc.ALARM, request, 5.0)
    return home


def test_no_command_grows_a_local_cluster_with_an_alarm(alarmed: Home, cli: RunCli) -> None:
    """Each added the learner first, then failed to write its record, and rolled it back."""
    folder = ["--dir", str(alarmed.layout.root)]
    before = alarmed.look().members
    for words in ("local join m9", "local up --members 5", "local join s1 --standby", "etcd add m9", "etcd replace m3 m9"):
        done = cli(*words.split(), *folder)
        assert done.returncode == 2, done.stderr
        assert "error: m2 has raised the alarm NOSPACE\n  now: nothing was changed\n next: compact" in done.stderr
    cluster.kill(alarmed, "m3")
    dead = cli("etcd", "replace", "m3", "m9", "--accept-reduced-tolerance", *folder)
    assert dead.returncode == 2 and "m2 has raised the alarm NOSPACE" in dead.stderr, "m3 is removed for one that can come"
    view = alarmed.look()
    assert view.members == before and [row.name for row in alarmed.load().members] == ["m1", "m2", "m3"]


def test_an_alarm_is_shown_with_the_name_of_its_member(alarmed: Home, cli: RunCli) -> None:
    folder = ["--dir", str(alarmed.layout.root)]
    shown = cli("local", "status", *folder).stdout
    (own,) = [line for line in shown.splitlines() if " m2 " in line]
    (other,) = [line for line in shown.splitlines() if " m3 " in line]
    assert "has raised NOSPACE" in own and "an alarm is raised" in other and "alarm NOSPACE on m2" in shown
    assert "memberID" not in shown and format_id(alarmed.look().members[0].id) in shown
