"""The units that save backups by a timer."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RunCli


def lines(text: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


def test_the_unit_saves_and_then_prunes_with_what_the_shell_said(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {"ETCDCTL_CACERT": "ca.crt", "ETCDCTL_PASSWORD": "hunter2", "ETCDCTL_USER": "root"}
    made = cli("etcd", "backup", "unit", "my backups", "--every", "6h", "--endpoints", "https://10.0.0.1:2379", **said)
    assert made.returncode == 0, made.stderr
    save, prune = lines(made.stdout, "ExecStart")
    place = f'"{tmp_path}/my backups"'
    assert f"etcd backup save {place} --every=21600s --cacert={tmp_path}/ca.crt" in save and Path(save.split()[0]).is_absolute()
    assert prune.endswith(f"etcd backup prune {place} --keep=24h,7d,4w,6m") and "hunter2" not in made.stdout
    assert lines(made.stdout, "Type") == ["oneshot"] and lines(made.stdout, "ReadWritePaths") == [place]


@pytest.mark.parametrize(("every", "often"), [("1h", "900s"), ("2m", "60s"), ("24h", "21600s")])
def test_the_timer_comes_again_where_one_host_fails(cli: RunCli, every: str, often: str) -> None:
    made = cli("etcd", "backup", "timer", "--every", every)
    assert lines(made.stdout, "OnUnitInactiveSec") == [often] and lines(made.stdout, "WantedBy") == ["timers.target"]
    assert lines(made.stdout, "OnBootSec") == ["2min"] and lines(made.stdout, "RandomizedDelaySec") != ["0s"]


@pytest.mark.parametrize(
    ("words", "said"), [(("timer", "--every", "5s"), "a load of its own"), (("unit", "b", "--keep", "often"), "often")]
)
def test_what_could_not_work_is_said_when_it_is_printed(cli: RunCli, words: tuple[str, ...], said: str) -> None:
    made = cli("etcd", "backup", *words)
    assert made.returncode == 3 and said in made.stderr and not made.stdout
