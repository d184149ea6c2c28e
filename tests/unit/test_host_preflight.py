"""Findings about a host that is to join, whose causes cannot be made on every machine: clocks, disks, old data."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from quorate.etcd import peer
from quorate.etcd.peer import PeerMembers
from quorate.host import disk
from quorate.preflight import joiner
from quorate.preflight.joiner import Case
from quorate.runtimes.place import Place
from quorate.runtimes.spec import EtcdSpec, environment_lines, listen_url, settings
from unit.views import CLUSTER, view


def spec(tmp_path: Path) -> EtcdSpec:
    return EtcdSpec("m9", Path("/bin/true"), tmp_path / "data", "http://10.0.0.9:2380", "http://10.0.0.9:2379")


@pytest.mark.parametrize(("ahead", "said"), [(0.0, None), (2.0, None), (90.0, "ahead of"), (-90.0, "behind")])
def test_clocks_that_differ_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, said: str | None
) -> None:
    seen = view(1)
    monkeypatch.setattr(
        peer, "members", lambda *_args, **_more: PeerMembers(CLUSTER, seen.members, float(int(time.time() + ahead)))
    )
    found = list(joiner.check_way(Case(spec(tmp_path), seen, resumed=False)))
    assert [one.level for one in found] == (["warning"] if said else [])
    assert said is None or said in found[0].text


def test_a_voter_of_another_cluster_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = view(1)
    monkeypatch.setattr(peer, "members", lambda *_args, **_more: PeerMembers(5, seen.members))
    (found,) = joiner.check_way(Case(spec(tmp_path), seen, resumed=False))
    assert found.level == "error" and "answers for cluster 5" in found.text


@pytest.mark.parametrize(("seconds", "level"), [(0.002, []), (0.080, ["warning"])])
def test_a_slow_disk_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, level: list[str]) -> None:
    monkeypatch.setattr(disk, "fsync_seconds", lambda _folder: seconds)
    assert [one.level for one in joiner.check_disk(Case(spec(tmp_path), view(1), resumed=False))] == level


def test_a_disk_is_measured_and_nothing_stays(tmp_path: Path) -> None:
    assert 0 < disk.fsync_seconds(tmp_path) < 5
    assert list(tmp_path.iterdir()) == []


def test_old_data_is_an_error_unless_this_join_began_it(tmp_path: Path) -> None:
    case = Case(spec(tmp_path), view(1), resumed=False)
    assert list(joiner.check_data(case)) == []
    (tmp_path / "data" / "member").mkdir(parents=True)
    assert [one.level for one in joiner.check_data(case)] == ["error"]
    assert list(joiner.check_data(replace(case, resumed=True))) == []
    (tmp_path / "link").symlink_to(tmp_path / "data")
    linked = replace(case, spec=replace(case.spec, data_dir=tmp_path / "link"), resumed=True)
    assert "symlink" in next(joiner.check_data(linked)).text


def test_the_place_is_given_back_as_it_was_found(tmp_path: Path) -> None:
    made = Place(spec(tmp_path))
    made.prepare()
    assert made.is_begun and made.spec.data_dir.stat().st_mode & 0o777 == 0o700
    (made.spec.data_dir / "member").mkdir()
    made.give_back()
    assert list(tmp_path.iterdir()) == []
    made.spec.data_dir.mkdir(mode=0o750)
    made.prepare()
    (made.spec.data_dir / "member").mkdir()
    made.give_back()
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"] and list(made.spec.data_dir.iterdir()) == []
    (made.spec.data_dir / "precious").touch()
    made.give_back()
    assert (made.spec.data_dir / "precious").exists(), "nothing was begun here: nothing is ours"


def test_settings_as_variables_survive_systemd_and_shells() -> None:
    text = environment_lines([("name", 'a "b" $HOME \\ `id`'), ("max-learners", "3")])
    assert text == 'ETCD_NAME="a \\"b\\" \\$HOME \\\\ \\`id\\`"\nETCD_MAX_LEARNERS="3"\n'


def test_a_host_name_is_listened_on_everywhere(tmp_path: Path) -> None:
    assert listen_url("https://etcd.example:2380") == "https://0.0.0.0:2380"
    assert listen_url("https://10.0.0.1:2380") == "https://10.0.0.1:2380"
    assert listen_url("http://[::1]:2380") == "http://[::1]:2380"
    pairs = dict(settings(spec(tmp_path), [("m1", "http://10.0.0.1:2380"), ("m9", "http://10.0.0.9:2380")]))
    assert pairs["initial-cluster"] == "m1=http://10.0.0.1:2380,m9=http://10.0.0.9:2380"
    assert pairs["initial-cluster-state"] == "existing"
