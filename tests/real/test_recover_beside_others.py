"""A recovery beside what somebody does meanwhile, or did before: copies, old notes, an etcd that is started in its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli

from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.host import ports
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline.look import look
from quorate.recovery import distil, fence
from quorate.recovery.fence import spot_of
from quorate.recovery.judge_recovery import RecoveryJob, judge_recovery
from quorate.recovery.progress import fence_alone, known_at, undo
from quorate.recovery.recover import recover as recovered
from quorate.recovery.survivors import read_fenced
from quorate.report import silent
from real.rows.processes import until
from real.test_distil import kill_all, writers
from real.test_recover import data_of, job_of, lost
from real.test_restore import running

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
CLOCK = SystemClock()


class Killed(BaseException):
    """Stands for SIGKILL."""


def killed_at(monkeypatch: pytest.MonkeyPatch, where: object, name: str, run: Callable[[], object]) -> None:
    """Do something, and die where a function would be called."""

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(where, name, die)
        with pytest.raises(Killed):
            run()


@pytest.fixture
def job(home: Home, etcd36: str) -> RecoveryJob:
    _, (best, *others) = lost(home, etcd36, 0.2)
    return job_of(home, etcd36, best, *others)


def with_beside(job: RecoveryJob, home: Home) -> RecoveryJob:

    return replace(job, gone=(), beside=tuple(data_of(home, name) for name in job.gone))


def test_of_two_copies_of_one_member_the_newer_is_used(home: Home, etcd36: str, tmp_path: Path) -> None:
    """They were compared by the member: the older one was used, and what came between was lost without a word."""
    _, (best, *others) = lost(home, etcd36, 0.2)
    older = tmp_path / "older"
    shutil.copytree(data_of(home, best), older)
    cluster.up(home, 3, etcd36)
    with writers(home, 1):
        CLOCK.sleep(0.2)
        kill_all(home)

    job = job_of(home, etcd36, best, *others)
    wrong = replace(job, data_dir=older, beside=(job.data_dir,))
    if look(older).last < look(job.data_dir).last:
        with pytest.raises(Refused, match=r"has the newest log, and .*older has not"):
            judge_recovery(wrong)
    assert judge_recovery(replace(job, beside=(older,))).decision.survivor.last == look(job.data_dir).last


def test_what_an_etcd_made_in_its_place_is_not_what_was_recovered(
    job: RecoveryJob, etcd36: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was called recovered, with no key in it."""
    killed_at(monkeypatch, distil, "distil", lambda: recovered(job, CLOCK, silent))
    client, peer = ports.reserve(2, tmp_path)
    with running(etcd36, job.data_dir, client, peer):
        until(lambda: look(job.data_dir).cluster_id if (job.data_dir / "member/snap/db").exists() else 0, 20)
    with pytest.raises(Refused, match="did not put it there") as refused:
        recovered(job, CLOCK, silent)
    assert f"mv {job.data_dir} {job.data_dir}.stray" in refused.value.advice
    job.data_dir.rename(f"{job.data_dir}.stray")
    assert recovered(job, CLOCK, silent).keys > 0


def test_a_recovery_goes_on_with_the_data_that_it_began_with(
    job: RecoveryJob, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was named later counted as held, kept its name, and served beside the new cluster."""
    killed_at(monkeypatch, distil, "distil", lambda: recovered(job, CLOCK, silent))
    with pytest.raises(Refused, match=r"began without --beside, and goes on so"):
        recovered(with_beside(job, home), CLOCK, silent)
    assert all(data_of(home, name).is_dir() for name in job.gone)
    assert recovered(job, CLOCK, silent).keys > 0


def test_data_beside_is_not_given_back_while_a_recovery_uses_it(
    job: RecoveryJob, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = job.gone
    far = tmp_path / "another/disk/etcd"
    far.parent.mkdir(parents=True)
    data_of(home, first).rename(far)

    both = replace(job, gone=(second,), beside=(far,))
    original = distil.distil

    def meanwhile(*given: Any) -> distil.Distilled:
        for place, error in ((far, Refused), (job.data_dir, HostError)):
            with pytest.raises(error, match=r"works with it|is at work"):
                undo(place)
        return original(*given)

    with monkeypatch.context() as patched:
        patched.setattr(distil, "distil", meanwhile)
        recovered(both, CLOCK, silent)
    with pytest.raises(Refused, match="has made its cluster anew"):
        undo(far)
    assert not far.exists()


def test_what_loses_its_other_name_meanwhile_stops_the_recovery(
    job: RecoveryJob, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, original = with_beside(job, home), distil.distil

    def by_hand(*given: Any) -> distil.Distilled:
        spot = spot_of(both.beside[0])
        known = known_at(spot_of(job.data_dir))
        assert known is not None
        (spot.folder / spot.kept(known.run)).rename(spot.data)
        return original(*given)

    monkeypatch.setattr(distil, "distil", by_hand)
    with pytest.raises(Refused, match="is not held any more"):
        recovered(both, CLOCK, silent)
    assert not job.data_dir.exists()


def test_a_fence_is_of_its_run(home: Home, etcd36: str, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that an undone fence had left said of a newer log that it was the older one."""
    _, (best, *_) = lost(home, etcd36, 0.2)
    data = data_of(home, best)
    was = fence.fence(data, "aaaaaaaa")[0]
    assert cli("etcd", "fence", str(data)).returncode == 0, "the same, typed twice"
    assert cli("etcd", "unfence", str(data), "--not-recovered").returncode == 0
    record = data.with_name("data.quorate-fenced.json")
    assert data.is_dir() and not record.exists()
    record.write_bytes(was.text())
    cluster.up(home, 3, etcd36)
    with writers(home, 1):
        CLOCK.sleep(0.2)
        kill_all(home)
    newer = look(data).last
    killed_at(monkeypatch, fence, "_noted", lambda: fence.fence(data, "bbbbbbbb"))
    assert cli("etcd", "fence", str(data)).returncode == 0
    assert read_fenced(record).survivor.last == newer and read_fenced(record).run == "bbbbbbbb"


def test_a_fence_takes_nothing_from_a_recovery(job: RecoveryJob, monkeypatch: pytest.MonkeyPatch, cli: RunCli) -> None:
    """Two recoveries had the same data, and both ended well."""
    killed_at(monkeypatch, distil, "distil", lambda: recovered(job, CLOCK, silent))
    with pytest.raises(Refused, match=r"was cut off, and goes on") as refused:
        fence_alone(job.data_dir, "cccccccc")
    words = refused.value.advice.partition("quorate etcd unfence ")[2].split()
    assert cli("etcd", "unfence", *words).returncode == 0, "as it is advised"
    assert cli("etcd", "fence", str(job.data_dir)).returncode == 0


def test_a_slip_of_one_name_is_said(job: RecoveryJob) -> None:
    with pytest.raises(Refused, match="is what etcd makes in its data directory") as refused:
        spot_of(job.data_dir / "member")
    assert str(job.data_dir) in refused.value.advice
