"""A dry run gives every refusal that the real run gives before its first change, and says at its end that nothing was done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quorate.cli.main import run_with
from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = pytest.mark.real

FREE = "https://127.0.0.1:9"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Returns the exit code, the line that names the error, and the last line on stdout."""
    code = run_with(["etcd", *arguments])
    out = capsys.readouterr()
    error = next((line for line in out.err.splitlines() if line.startswith("error:")), "")
    return code, error, (out.out.splitlines() or [""])[-1]


def test_a_dry_run_refuses_what_the_real_run_refuses(
    home: Home, etcd36: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    cluster.up(home, 3, etcd36)
    rows = {member.name: member.peer_url for member in home.load().members}
    want = {name: tmp_path / f"{name}.yaml" for name in ("joins", "renames", "shrinks", "clashes")}
    listed = [f"{{name: {name}, peerURL: '{url}'}}" for name, url in rows.items()]
    joined = ", ".join(listed)
    want["joins"].write_text(f"members: [{joined}, {{name: m9, peerURL: 'http://127.0.0.1:9'}}]")
    want["renames"].write_text(f"members: [{joined.replace('name: m3', 'name: other')}]")
    want["shrinks"].write_text(f"members: [{', '.join(listed[:2])}]")
    want["clashes"].write_text(f"members: [{joined}, {{name: 'bad;name', peerURL: '{FREE}'}}]")
    before = [member.id for member in home.look().members]
    for code, arguments in (
        (2, ["add", "m2", f"--peer-urls={FREE}"]),
        (2, ["add", "m9", "--peer-urls=http://127.0.0.1:9"]),
        (2, ["add", "bad;name", f"--peer-urls={FREE}"]),
        (2, ["add", "m9", f"--peer-urls={rows['m2']}"]),
        (3, ["add", "m9", f"--peer-urls={FREE}", "--start=exit 3"]),
        (3, ["add", "m9", f"--peer-urls={FREE}", "--env-file=/nowhere/at/all"]),
        (3, ["replace", "nosuch", "m9", f"--peer-urls={FREE}"]),
        (3, ["replace", "m1", "m1", f"--peer-urls={rows['m1']}"]),
        (4, ["replace", "m1", "m2", f"--peer-urls={rows['m2']}"]),
        (2, ["replace", "m1", "m2", f"--peer-urls={FREE}"]),
        (4, ["remove", "m3"]),
        (3, ["remove", "nosuch"]),
        (3, ["promote", "nosuch"]),
        (3, ["unlock", "nosuch"]),
        (4, ["adopt", "m1", "m1"]),
        (3, ["adopt", "m1", "m2"]),
        (2, ["plan", f"--want={want['joins']}", "--apply"]),
        (4, ["plan", f"--want={want['renames']}", "--apply"]),
        (4, ["plan", f"--want={want['shrinks']}", "--apply"]),
        (2, ["plan", f"--want={want['clashes']}", "--apply"]),
    ):
        real = said(capsys, *arguments, *flags_of(home))
        planned = said(capsys, *arguments, *flags_of(home), "--dry-run")
        assert planned[:2] == real[:2] and real[0] == code and real[1], (arguments, real, planned)
    assert [member.id for member in home.look().members] == before


def test_every_dry_run_ends_by_saying_that_nothing_was_done(
    home: Home, etcd36: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.up(home, 3, etcd36)
    want, folder = tmp_path / "want.yaml", f"--dir={home.layout.root}"
    urls = [member.peer_url for member in home.load().members]
    want.write_text(f"members: [{', '.join(f'{{name: m{n}, peerURL: {url!r}}}' for n, url in enumerate(urls, 1))}]")
    for arguments in (
        ["add", "m9", f"--peer-urls={FREE}"],
        ["replace", "m1", "m9", f"--peer-urls={FREE}"],
        ["remove", "m3", "--accept-reduced-tolerance"],
        ["promote", "m1"],
        ["unlock"],
        ["plan", f"--want={want}"],
    ):
        code, error, last = said(capsys, *arguments, *flags_of(home), "--dry-run")
        assert (code, error) == (0, "") and last.startswith("dry run: nothing was changed"), arguments
    for arguments in (["add", "m9", folder], ["replace", "m1", "m9", folder]):
        code, error, last = said(capsys, *arguments, "--dry-run")
        assert (code, error, last) == (0, "", "dry run: nothing was changed"), arguments
    for arguments in (
        ["add", "m2", folder],
        ["add", "bad;name", folder],
        ["replace", "m1", "m2", folder],
        ["replace", "gone", "m9", folder],
    ):
        planned = said(capsys, *arguments, "--dry-run")
        assert planned[:2] == said(capsys, *arguments)[:2] and planned[0], arguments


def test_a_dry_run_of_a_replacement_says_what_goes_first(home: Home, etcd36: str, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.up(home, 3, etcd36)
    run_with(["etcd", "replace", "m3", "m9", f"--peer-urls={FREE}", *flags_of(home), "--dry-run"])
    shown = capsys.readouterr().out
    assert "after the join, because it is alive" in shown and "afterwards: 3 voters, 1 may fail (now 1)" in shown
    cluster.kill(home, "m3")
    run_with(["etcd", "replace", "m3", "m9", f"--peer-urls={FREE}", *flags_of(home), "--dry-run", "--absence=3s"])
    assert "before the join, because it is dead" in capsys.readouterr().out


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run_with(["etcd", *arguments, "--dry-run"]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_dry_run_on_a_local_cluster_asks_for_the_decisions_of_the_real_run(
    home: Home, etcd36: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It named one order of the two halves, whatever there was, and no member that would be started."""
    cluster.up(home, 3, etcd36)
    words = ["replace", "m3", "m9", f"--dir={home.layout.root}"]
    alive = planned(capsys, *words)
    assert alive[0].startswith("1. would add m9") and alive[1].startswith("2. would move leadership away from m3")
    assert "afterwards: 3 voters, 1 may fail (now 1)" in alive
    cluster.kill(home, "m3")
    dead = planned(capsys, *words)
    assert dead[0] == "1. would remove m3, because it does not run" and dead[1].startswith("2. would add m9")
    assert "afterwards: 3 voters, 1 may fail (now 0)" in dead
    added = planned(capsys, "add", "m9", f"--dir={home.layout.root}")
    assert added[0] == "1. would start m3, which does not run" and added[1].startswith("2. would add m9")
    cluster.start(home, "m3")
    for name in ("m3", "m2"):
        cluster.pause(home, name)
        for verb in (words, ["add", "m9", f"--dir={home.layout.root}"]):
            real, plan = said(capsys, *verb), said(capsys, *verb, "--dry-run")
            assert real[:2] == plan[:2] == (4, f"error: {name} is paused"), (real, plan)
        cluster.resume(home, name)


def test_a_dry_run_says_how_many_may_fail_afterwards(home: Home, etcd36: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It showed the number of now, which nobody asked for."""
    cluster.up(home, 3, etcd36)
    words = ["remove", "m3", "--accept-reduced-tolerance", *flags_of(home)]
    assert "afterwards: 2 voters, 0 may fail (now 1)" in planned(capsys, *words)
    shown = json.loads("\n".join(planned(capsys, *words, "-o", "json")))
    assert shown["afterwards"] == {"voters": 2, "quorum": 2, "margin": 0} and shown["margin"]["margin"] == 1
    added = planned(capsys, "add", "m9", f"--peer-urls={FREE}", *flags_of(home))
    assert "afterwards: 4 voters, 1 may fail (now 1)" in added
    kept = planned(capsys, "add", "m9", f"--peer-urls={FREE}", "--standby", "--occupy-the-seat", *flags_of(home))
    assert kept[0] == f"would add m9 at {FREE} as a learner, and keep it as a standby"
    assert "afterwards: 3 voters, 1 may fail (now 1)" in kept
