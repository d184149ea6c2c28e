"""What a recovery leaves: how far it came, how it goes on or ends, and when the old data may go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import schemas
from conftest import RunCli, engine

from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline.look import look
from quorate.recovery import distil
from quorate.recovery import recover as recovering
from quorate.recovery.fence import Spot, spot_of
from quorate.recovery.judge_recovery import RecoveryJob
from quorate.recovery.left_over import _delete, _kept_at
from quorate.recovery.progress import data_dir_of
from quorate.recovery.recover import recover as recovered
from quorate.report import silent
from real.machines import flags_of
from real.test_recover import data_of, job_of, lost
from real.test_recover_beside_others import killed_at, with_beside

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
CLOCK = SystemClock()


@pytest.fixture
def job(home: Home, etcd36: str) -> RecoveryJob:
    _, (best, *others) = lost(home, etcd36, 0.2)
    return job_of(home, etcd36, best, *others)


def status(cli: RunCli, place: Path) -> dict[str, Any]:
    said = cli("etcd", "recovery", "status", str(place), "-o", "json")
    assert schemas.checked(said.stdout) == ["EtcdRecoveryStatus"], said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_one_that_was_cut_off_says_so_and_goes_on_as_it_began(
    home: Home, job: RecoveryJob, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(cli, job.data_dir)["next"] is None
    of_all = with_beside(job, home)
    killed_at(monkeypatch, distil, "distil", lambda: recovered(of_all, CLOCK, silent))
    found = status(cli, job.data_dir)
    assert found["step"] == "fenced" and f"recovery resume {job.data_dir}" in str(found["next"])
    assert len(found["kept"]) == 3 and found["clusterIdHere"] is None
    done = cli(
        "etcd",
        "recovery",
        "resume",
        str(job.data_dir),
        "--etcd",
        str(job.etcd.path),
        "--etcdutl",
        engine("etcdutl"),
        "-o",
        "json",
    )
    assert done.returncode == 0, done.stderr
    after = status(cli, job.data_dir)
    assert after["step"] == "placed" and after["clusterIdHere"] == json.loads(done.stdout)["clusterId"]
    assert "quorate etcd recovered" in str(after["next"])
    for words in (("resume",), ("abort",)):
        assert cli("etcd", "recovery", *words, str(job.data_dir)).returncode == 2, "it is not cut off"


def test_one_that_was_cut_off_is_ended(job: RecoveryJob, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    before = look(job.data_dir).last
    killed_at(monkeypatch, distil, "distil", lambda: recovered(job, CLOCK, silent))
    assert cli("etcd", "recovery", "abort", str(job.data_dir)).returncode == 0
    assert look(job.data_dir).last == before and status(cli, job.data_dir)["step"] is None


def test_one_that_was_cut_off_before_it_held_anything_is_ended(
    job: RecoveryJob, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was nothing to be given its name back, and no other way to end it."""
    killed_at(monkeypatch, recovering, "_hold", lambda: recovered(job, CLOCK, silent))
    assert status(cli, job.data_dir)["step"] == "begun"
    assert cli("etcd", "recovery", "abort", str(job.data_dir)).returncode == 0
    assert status(cli, job.data_dir)["step"] is None and recovered(job, CLOCK, silent).keys


def test_what_a_member_itself_is_called_is_no_data_directory(home: Home, etcd36: str, tmp_path: Path) -> None:
    """At a mount point it is `member` that is held; named as a data directory, etcd began an empty one in it."""
    (tmp_path / "d" / "member.quorate-kept-aaaaaaaa").mkdir(parents=True)
    with pytest.raises(Refused, match="is what etcd makes in its data directory"):
        spot_of(tmp_path / "d" / "member")
    assert data_dir_of(Spot(tmp_path / "d", "member")) == tmp_path / "d"
    cluster.up(home, 1, etcd36)
    for path in (data_of(home, "m1"), data_of(home, "m1") / "member"):
        with pytest.raises(HostError, match="an etcd runs on"):
            _delete(path, _kept_at(path, "x"))
    assert home.look().linearizable


def test_old_data_goes_once_others_have_it(home: Home, etcd36: str, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.up(home, 3, etcd36)
    for name in ("m2", "m3"):
        cluster.kill(home, name)
        shutil.rmtree(data_of(home, name))
    at, place = ("--dir", str(home.layout.root)), data_of(home, "m1")
    assert cli("local", "recover", *at).returncode == 0
    found = status(cli, place)
    (kept,) = found["kept"]
    run, path = kept["run"], Path(kept["path"])

    def clean(*more: str) -> tuple[int, str]:
        said = cli("etcd", "recovery", "clean", str(place), "--run", *(more or (run,)), *flags_of(home), "-o", "json")
        return said.returncode, said.stderr

    code, error = clean()
    assert code == 4 and "what is kept is the only other copy" in error and path.exists()
    grown = cli("local", "up", "--members", "3", *at, "--etcd", etcd36)
    assert grown.returncode == 0, grown.stderr
    assert clean("ffffffff")[0] == 2
    # Data that no cluster of this one was made of stays.
    other = place.with_name("data.quorate-kept-bbbbbbbb")
    shutil.copytree(data_of(home, "m2"), other)
    code, error = clean("bbbbbbbb")
    assert code == 4 and "does not say that it was made of" in error and other.exists()
    shutil.rmtree(other)
    # Killed between the data and the notes, which hold a snapshot of it, the next one goes on.
    shutil.rmtree(path)
    assert run in str(status(cli, place)["next"])
    code, error = clean()
    assert code == 0, error
    assert not path.exists() and status(cli, place)["kept"] == [] and status(cli, place)["run"] is None
    assert sorted(one.name for one in place.parent.iterdir() if "quorate" in one.name) == []
    assert home.look().linearizable and len(home.look().voters) == 3
