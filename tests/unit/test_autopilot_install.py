"""The unit and the static pod of the autopilot: which flags they carry, and how they are quoted."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import RunCli

from quorate.errors import HostError
from quorate.host.units import Service, service_text
from quorate.local import state
from quorate.local.state import LocalMember, State


def exec_start(text: str) -> str:
    return next(line.removeprefix("ExecStart=") for line in text.splitlines() if line.startswith("ExecStart="))


def test_a_unit_carries_what_the_shell_said(cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has no working directory and no variables of the shell that printed it."""
    monkeypatch.chdir(tmp_path)
    said = {"ETCDCTL_CACERT": "ca.crt", "ETCDCTL_PASSWORD": "hunter2", "ETCDCTL_USER": "root"}
    made = cli("autopilot", "unit", "--endpoints", "https://10.0.0.1:2379", "--listen", "127.0.0.1:9382", **said)
    assert made.returncode == 0
    line = exec_start(made.stdout)
    assert f"--cacert={tmp_path}/ca.crt --endpoints=https://10.0.0.1:2379 --user=root --listen=127.0.0.1:9382" in line
    assert Path(line.split()[0]).is_absolute() and "hunter2" not in made.stdout
    for word in ("Type=notify", "WatchdogSec=", "NoNewPrivileges=yes", "ProtectSystem=strict"):
        assert word in made.stdout


def test_a_unit_whose_program_needs_the_host_is_not_locked_in(cli: RunCli) -> None:
    made = cli("autopilot", "unit", "--endpoints", "a:1", "--provide", "/bin/true", "--provide-timeout", "5m")
    assert "--provide=/bin/true --provide-timeout=300s" in exec_start(made.stdout)
    assert "ProtectSystem" not in made.stdout and "NoNewPrivileges=yes" in made.stdout


def test_the_unit_of_a_local_cluster_may_write_there(cli: RunCli, tmp_path: Path) -> None:
    """Its journal is in the folder; a /tmp of the service's own would hide one that is there."""
    made = cli("autopilot", "unit", "--dir", str(tmp_path)).stdout
    assert f"ReadWritePaths={tmp_path}" in made and "PrivateTmp" not in made
    assert "PrivateTmp=yes" in service_text(Service("x", ("/bin/x",), writes=("/srv/x",)))


@pytest.mark.parametrize("word", ["a b", "100%", "$HOME", 'say "x"', "back\\slash"])
def test_words_reach_the_program_as_they_are(word: str) -> None:
    line = exec_start(service_text(Service("x", ("/bin/echo", word))))
    quoted = line.removeprefix("/bin/echo ")
    plain = quoted.removeprefix('"').removesuffix('"') if quoted.startswith('"') else quoted
    assert plain.replace("%%", "%").replace("$$", "$").replace('\\"', '"').replace("\\\\", "\\") == word


def test_a_line_break_adds_no_line_to_a_unit() -> None:
    with pytest.raises(HostError, match="cannot be written into a unit file"):
        service_text(Service("x", ("/bin/echo", "a\nExecStartPre=/bin/evil")))


def test_the_pod_mounts_the_certificates_and_serves_its_probes(cli: RunCli, tmp_path: Path) -> None:
    flags = ("--endpoints", "https://10.0.0.1:2379", "--cacert", f"{tmp_path}/ca/ca.crt", "--cert", f"{tmp_path}/c/c.crt")
    made = cli("autopilot", "manifest", "--image", "quorate:1", *flags, "--key", f"{tmp_path}/c/c.key")
    assert made.returncode == 0
    spec = yaml.safe_load(made.stdout)["spec"]
    container = spec["containers"][0]
    mounted = [row["mountPath"] for row in container["volumeMounts"] if row.get("readOnly")]
    assert mounted == [f"{tmp_path}/c", f"{tmp_path}/ca"]
    assert {row["name"] for row in spec["volumes"]} == {row["name"] for row in container["volumeMounts"]}
    assert container["command"][:3] == ["quorate", "autopilot", "run"] and "--listen=127.0.0.1:9382" in container["command"]
    assert container["livenessProbe"]["httpGet"] == {"host": "127.0.0.1", "path": "/livez", "port": 9382}
    assert container["securityContext"]["readOnlyRootFilesystem"] and spec["hostNetwork"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("manifest", "--image", "x", "--listen", "0.0.0.0:1"), "can be reached from outside"),
        (("manifest", "--image", "x", "--listen", "9382"), "not of the form HOST:PORT"),
        (("manifest", "--image", "x", "--dir", "d"), "runs in no pod"),
        (("run", "--listen-cert", "x"), "nothing is served without --listen"),
        (("run", "--listen", "127.0.0.1:1", "--listen-cert", "x"), "all three"),
        (("run", "--provide", "relative"), "no program that can be run"),
    ],
)
def test_what_could_not_work_is_refused(cli: RunCli, words: tuple[str, ...], said: str) -> None:
    made = cli("autopilot", *words, "--endpoints", "127.0.0.1:1") if "--dir" not in words else cli("autopilot", *words)
    assert made.returncode == 3 and said in made.stderr


@pytest.mark.parametrize(
    ("words", "variables", "meant"),
    [
        (("unit", "--dir", "a"), {"QUORATE_LOCAL_DIR": "b"}, "--dir={here}/a"),
        (("unit",), {"QUORATE_LOCAL_DIR": "b"}, "--dir={here}/b"),
        (("--dir", "a", "unit"), {"QUORATE_LOCAL_DIR": "b", "ETCDCTL_ENDPOINTS": "x:1"}, "--dir={here}/a"),
        (("--dir", "a", "unit", "--dir", "c"), {}, "--dir={here}/c"),
        (("unit", "--endpoints", "x:1"), {"QUORATE_LOCAL_DIR": "b"}, "--endpoints=x:1"),
    ],
)
def test_the_command_line_says_which_cluster_is_meant_and_then_the_variable(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], meant: str
) -> None:
    monkeypatch.chdir(tmp_path)
    line = exec_start(cli("autopilot", *words, **variables).stdout)
    assert line.endswith(f" run {meant.format(here=tmp_path)}"), line


@pytest.mark.parametrize(
    ("endpoints", "code"),
    [
        ("https://127.0.0.1:2001,https://127.0.0.1:2003", 0),
        ("localhost:2003", 0),
        ("https://127.0.0.1:2001,https://127.0.0.1:9", 0),
        ("https://127.0.0.1:9", 3),
        ("https://10.0.0.1:2001", 3),
        ("https://127.0.0.1:2001,https://10.0.0.1:2001", 3),
    ],
)
def test_two_variables_may_name_one_cluster(cli: RunCli, tmp_path: Path, endpoints: str, code: int) -> None:
    """`eval "$(quorate local env)"` in the shell of a demo, where the directory is a variable too. Port 9: of a member that has
    left since, or of another cluster."""
    members = tuple(LocalMember(f"m{one}", 3000 + one, 2000 + one, "etcd", "member") for one in (1, 3))
    state.save(tmp_path / "cluster.json", State("token", 1, members=members))
    made = cli("autopilot", "unit", QUORATE_LOCAL_DIR=str(tmp_path), ETCDCTL_ENDPOINTS=endpoints)
    assert made.returncode == code, made.stderr
    if code == 0:
        assert exec_start(made.stdout).endswith(f" run --dir={tmp_path}")
    else:
        assert str(tmp_path) in made.stderr and endpoints in made.stderr


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("--dir", "a", "unit", "--endpoints", "x:1"), {}),
        (("--endpoints", "x:1", "unit", "--dir", "a"), {}),
        (("unit",), {"QUORATE_LOCAL_DIR": "b", "ETCDCTL_ENDPOINTS": "x:1"}),
    ],
)
def test_two_clusters_are_refused(cli: RunCli, words: tuple[str, ...], variables: dict[str, str]) -> None:
    made = cli("autopilot", *words, **variables)
    assert made.returncode == 3 and ("means a local cluster" in made.stderr or "means the local cluster in b" in made.stderr)
