"""Names, URLs and paths that others set: none of them becomes a command, a variable, or a line of a unit file."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from unit.views import member, url, view

from quorate.cli.etcd.host_options import HostOptions, _setting, check_host
from quorate.cli.etcd.join_options import JoinOptions
from quorate.cli.etcd.start_hook import starter
from quorate.cli.main import run_with
from quorate.core.new_member import is_carried, new_member_findings
from quorate.deadline import Cancel
from quorate.errors import ConfigError, HostError, Refused
from quorate.etcd.membership.external import environment_file, variables
from quorate.host import environment
from quorate.member.spec import EtcdSpec, environment_lines
from quorate.member.systemd import SystemdUnit

EVIL = [
    'm1"\nLD_PRELOAD="/evil.so',
    "m1\nBASH_FUNC_ls%%=() { id; }",
    "$(touch pwned)",
    "`touch pwned`",
    'a"b$c\\d',
    "a;b'c",
    "m1,m2=http://evil:1",
    "m 1",
    "\x1b[2Jm1",
    "m1\u202e",
    "",
    "x" * 300,
]
CARRIED = [name for name in EVIL if is_carried(name, url(1))]


@pytest.mark.parametrize("name", EVIL)
def test_what_a_member_is_called_reaches_a_process_as_it_is_or_not_at_all(name: str, tmp_path: Path) -> None:
    """Rows e1 and e1b: a member's name was a variable of root's process, and code in every shell that read the file."""
    rows = [(name, "http://10.0.0.1:2380"), ("d", "http://10.0.0.4:2380")]
    if name not in CARRIED:
        with pytest.raises(Refused, match="cannot be named in --initial-cluster"):
            variables("d", "http://10.0.0.4:2380", rows)
        return
    values = variables("d", "http://10.0.0.4:2380", rows)
    told = subprocess.run(
        ["sh", "-c", environment_file(values) + 'printf %s "$ETCD_INITIAL_CLUSTER"'],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert told.stdout.decode() == f"{name}=http://10.0.0.1:2380,d=http://10.0.0.4:2380"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("evil", ["http://h:2380\nLD_PRELOAD=/x", "http://h:2380,http://i:1", "http://h:1 2", "http://\x1b[2J"])
def test_nor_does_what_it_is_reached_at(evil: str) -> None:
    with pytest.raises(Refused):
        variables("d", "http://10.0.0.4:2380", [("a", evil)])


def test_such_a_member_is_found_before_the_first_change_and_named_by_its_id() -> None:
    seen = view(2, replace(member(3), name=EVIL[0]))
    (found,) = [one for one in new_member_findings(seen, "d", [url(4)]) if one.level == "error"]
    assert found.name == "member-not-carried"
    assert found.advice.endswith("quorate etcd remove 3")


@pytest.mark.parametrize("name", CARRIED)
def test_the_users_start_command_gets_the_values_as_they_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETCDCTL_PASSWORD", "geheim-77")
    monkeypatch.setenv("QUORATE_X", "geheim-77")
    monkeypatch.setenv("OWN", "kept")
    out = tmp_path / "out"
    command = shlex.join(["sh", "-c", f"env -0 >{out}"])
    options = JoinOptions(command, None, tmp_path / "env", 60.0, False, False, False, False, 10.0)
    starter(options, Cancel())("d", [(name, "http://10.0.0.1:2380"), ("d", "http://10.0.0.4:2380")])
    told = dict(row.split("=", 1) for row in out.read_text().split("\0") if row)
    assert told["ETCD_INITIAL_CLUSTER"].startswith(f"{name}=http://10.0.0.1:2380,")
    assert told["OWN"] == "kept"
    assert "geheim" not in str(told)
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def test_programs_that_we_choose_get_a_short_list_of_variables() -> None:
    """Row i5.1."""
    given = {
        "PATH": "/bin",
        "ETCDCTL_PASSWORD": "x",
        "ETCD_NAME": "y",
        "LD_PRELOAD": "z",
        "BASH_FUNC_ls%%": "w",
        "AWS_SECRET": "v",
    }
    assert environment.for_programs(given) == {"PATH": "/bin"}


def systemd_value(line: str) -> str:
    """An assignment of an EnvironmentFile as systemd.exec(5) reads it: in double quotes a backslash escapes these four."""
    value = line.partition("=")[2]
    assert value[0] == value[-1] == '"'
    read, rest = "", value[1:-1]
    while rest:
        if rest[0] == "\\" and rest[1] in '"\\$`':
            rest = rest[1:]
        read, rest = read + rest[0], rest[1:]
    return read


@pytest.mark.parametrize("name", CARRIED)
def test_systemd_reads_an_environment_file_back(name: str) -> None:
    (line,) = environment_lines([("name", name)]).splitlines()
    assert systemd_value(line) == name


def test_a_value_that_ends_its_line_is_not_written() -> None:
    with pytest.raises(HostError, match="control character"):
        environment_lines([("name", EVIL[0])])


def unit(tmp_path: Path, **fields: object) -> str:
    spec = EtcdSpec("m9", Path("/usr/bin/etcd"), tmp_path / "data", url(9), url(9))
    return SystemdUnit(replace(spec, **fields), "etcd").unit_text()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "m9\n[Service]\nExecStartPre=/bin/touch /pwned"},
        {"program": Path("/usr/bin/etcd\nExecStartPre=/bin/touch /pwned")},
        {"data_dir": Path("/var/lib/etcd\nExecStartPre=/bin/touch /pwned")},
    ],
    ids=["name", "program", "data"],
)
def test_nothing_ends_a_line_of_a_unit_file(fields: dict[str, object], tmp_path: Path) -> None:
    """Rows h3 and i11."""
    with pytest.raises(HostError, match="unit file"):
        unit(tmp_path, **fields)


def test_what_systemd_would_read_otherwise_is_quoted(tmp_path: Path) -> None:
    text = unit(tmp_path, name="50%n", program=Path("/opt/my etcd/$HOME/etcd"))
    assert "Description=etcd member 50%%n\n" in text
    assert 'ExecStart="/opt/my etcd/$$HOME/etcd"\n' in text


@pytest.mark.parametrize(
    "given",
    [
        {"unit": "../../tmp/x"},
        {"unit": "a b"},
        {"run_as": "root\nExecStartPre=/x"},
        {"data_dir": Path("/var/lib/e\ntcd")},
        {"program": "/usr/bin/etcd\n"},
        {"etcd_arg": ("name\nx=y",)},
    ],
)
def test_options_that_a_unit_file_cannot_carry_are_refused_first(given: dict[str, object]) -> None:
    values: dict[str, object] = dict.fromkeys(HostOptions.__dataclass_fields__) | {
        "runtime": "systemd", "etcd_arg": (), "unit": "etcd", "no_inbound_probe": True
    }  # fmt: skip
    host = HostOptions(**(values | given))  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        _checked(host)


def _checked(host: HostOptions) -> None:
    check_host(host)
    _setting(host.etcd_arg[0])


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "1e9", "x", "9" * 5000])
@pytest.mark.parametrize(
    "command", [["etcd", "add", "d", "--peer-urls=http://h:1"], ["etcd", "remove", "d"], ["etcd", "promote", "d"]]
)
def test_a_time_that_cannot_be_waited_is_refused(command: list[str], seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Row i9: --timeout nan never ended."""
    assert run_with([*command, f"--timeout={seconds}", "--endpoints=127.0.0.1:1"]) == 3
    assert len(capsys.readouterr().err) < 1000


@pytest.mark.parametrize("duration", ["-1s", "9" * 200 + "h", "1e3s", "200h"])
def test_a_duration_that_cannot_be_waited_is_refused(duration: str) -> None:
    assert run_with(["etcd", "status", f"--command-timeout={duration}", "--endpoints=127.0.0.1:1"]) == 3
