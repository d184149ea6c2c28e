"""The units that save backups by a timer."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
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


def test_the_pod_reads_certificates_and_writes_to_its_directory(cli: RunCli, tmp_path: Path) -> None:
    place, keys = tmp_path / "backups", tmp_path / "for" / "keys.txt"
    flags = ("--endpoints", "https://10.0.0.1:2379", "--cacert", f"{tmp_path}/pki/ca.crt", "--every", "6h", "--with-secrets")
    keys.parent.mkdir()
    keys.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJFYVhKXSGsEZEmkzZvpVuZCy7UxEDwwKHzOw3AS4Bnl\n")
    made = cli("etcd", "backup", "manifest", str(place), "--image", "quorate:1", "--recipients-file", str(keys), *flags)
    assert made.returncode == 0, made.stderr
    spec = yaml.safe_load(made.stdout)["spec"]
    container = spec["containers"][0]
    mounts = {row["mountPath"]: row for row in container["volumeMounts"]}
    of_node = {row["name"]: row["hostPath"]["path"] for row in spec["volumes"] if "hostPath" in row}
    read_only = {path for path, row in mounts.items() if row.get("readOnly")}
    assert read_only == {f"{tmp_path}/pki", f"{tmp_path}/for", "/etc/kubernetes"}
    assert set(of_node.values()) == read_only | {str(place)} and mounts[str(place)]["mountPropagation"] == "HostToContainer"
    assert container["command"][:5] == ["quorate", "etcd", "backup", "run", str(place)] and spec["hostNetwork"]
    assert {"--every=21600s", f"--recipients-file={keys}", "--with-secrets"} < set(container["command"])
    assert container["readinessProbe"]["exec"]["command"][-1] == "--max-age=43200s"
    assert container["securityContext"]["readOnlyRootFilesystem"] and "livenessProbe" not in container


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("timer", "--every", "5s"), "a load of its own"),
        (("unit", "b", "--keep", "often"), "often"),
        (("manifest", "s3://b/x", "--image", "q"), "have no place in a pod"),
        (("manifest", "b", "--image", " "), "--image is empty"),
        (("run", "b", "--every", "5s"), "a load of its own"),
        (("run", "b", "--with-secrets"), "encrypted only"),
    ],
)
def test_what_could_not_work_is_said_when_it_is_printed(cli: RunCli, words: tuple[str, ...], said: str) -> None:
    made = cli("etcd", "backup", *words)
    assert made.returncode in (3, 4) and said in made.stderr and not made.stdout
