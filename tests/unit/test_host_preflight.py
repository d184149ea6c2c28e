"""Findings about a host that is to join, whose causes cannot be made on every machine: clocks, disks, old data."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quorate.errors import HostError
from quorate.etcd.client import peer_port
from quorate.etcd.client.peer_port import PeerMembers
from quorate.host import disk, ports
from quorate.member import checks, inbound_probe
from quorate.member.checks import Case
from quorate.member.data_dir import DataDir
from quorate.member.spec import EtcdSpec, environment_lines, listen_url, settings
from unit.views import CLUSTER, view


def give_names(monkeypatch: pytest.MonkeyPatch, known: dict[str, list[str]]) -> None:
    """A resolver that knows these names before all others."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        return [row for address in known.get(host, [host]) for row in real(address, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def spec(tmp_path: Path) -> EtcdSpec:
    return EtcdSpec("m9", Path("/bin/true"), tmp_path / "data", "http://10.0.0.9:2380", "http://10.0.0.9:2379")


@pytest.mark.parametrize(
    ("ahead", "said"), [(0.0, None), (2.0, None), (90.0, "s ahead of that of this host"), (-90.0, "s behind that of this host")]
)
def test_clocks_that_differ_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, said: str | None
) -> None:
    seen = view(1)
    monkeypatch.setattr(
        peer_port, "members", lambda *_args, **_more: PeerMembers(CLUSTER, seen.members, float(int(time.time() + ahead)))
    )
    found = list(checks.check_way(Case(spec(tmp_path), seen, resumed=False)))
    assert [one.level for one in found] == (["warning"] if said else [])
    assert said is None or (said in found[0].text and "timedatectl" in found[0].advice)


def test_a_voter_of_another_cluster_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = view(1)
    monkeypatch.setattr(peer_port, "members", lambda *_args, **_more: PeerMembers(5, seen.members))
    (found,) = checks.check_way(Case(spec(tmp_path), seen, resumed=False))
    assert found.level == "error" and "answers for cluster 5" in found.text


@pytest.mark.parametrize(("seconds", "level"), [(0.002, []), (0.080, ["warning"])])
def test_a_slow_disk_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, level: list[str]) -> None:
    monkeypatch.setattr(disk, "fsync_seconds", lambda _folder: seconds)
    assert [one.level for one in checks.check_disk(Case(spec(tmp_path), view(1), resumed=False))] == level


def test_a_disk_is_measured_and_nothing_stays(tmp_path: Path) -> None:
    assert 0 < disk.fsync_seconds(tmp_path) < 5
    assert list(tmp_path.iterdir()) == []


def test_old_data_is_an_error_unless_this_join_began_it(tmp_path: Path) -> None:
    case = Case(spec(tmp_path), view(1), resumed=False)
    assert list(checks.check_data(case)) == []
    (tmp_path / "data" / "member").mkdir(parents=True)
    assert [one.level for one in checks.check_data(case)] == ["error"]
    assert list(checks.check_data(replace(case, resumed=True))) == []
    (tmp_path / "link").symlink_to(tmp_path / "data")
    linked = replace(case, spec=replace(case.spec, data_dir=tmp_path / "link"), resumed=True)
    assert "symlink" in next(checks.check_data(linked)).text


def test_the_place_is_given_back_as_it_was_found(tmp_path: Path) -> None:
    made = DataDir(spec(tmp_path))
    made.prepare()
    assert made.is_begun and made.spec.data_dir.stat().st_mode & 0o777 == 0o700
    (made.spec.data_dir / "member").mkdir()
    made.give_back(None)
    assert list(tmp_path.iterdir()) == []
    made.spec.data_dir.mkdir(mode=0o750)
    made.prepare()
    (made.spec.data_dir / "member").mkdir()
    made.give_back(None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"] and list(made.spec.data_dir.iterdir()) == []
    (made.spec.data_dir / "precious").touch()
    made.give_back(None)
    assert (made.spec.data_dir / "precious").exists(), "nothing was begun here: nothing is ours"


def test_settings_as_variables_survive_systemd_and_shells() -> None:
    text = environment_lines([("name", 'a "b" $HOME \\ `id`'), ("max-learners", "3")])
    assert text == 'ETCD_NAME="a \\"b\\" \\$HOME \\\\ \\`id\\`"\nETCD_MAX_LEARNERS="3"\n'


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://both.example:2380", "https://0.0.0.0:2380"),
        ("https://four.example:2380", "https://0.0.0.0:2380"),
        ("https://none.example:2380", "https://0.0.0.0:2380"),
        ("https://six.example:2380", "https://[::]:2380"),
        ("https://10.0.0.1:2380", "https://10.0.0.1:2380"),
        ("http://[::1]:2380", "http://[::1]:2380"),
        # etcd: "expected IP in URL for binding".
        ("http://[fe80::1%25eth0]:2380", "http://[::]:2380"),
    ],
)
def test_where_to_listen(monkeypatch: pytest.MonkeyPatch, url: str, wanted: str) -> None:
    known = {
        "both.example": ["::1", "10.0.0.1"],
        "four.example": ["10.0.0.1"],
        "six.example": ["fd00::1", "fd00::2"],
        "none.example": [],
    }
    give_names(monkeypatch, known)
    assert listen_url(url) == wanted


def test_settings_of_a_member(tmp_path: Path) -> None:
    pairs = dict(settings(spec(tmp_path), [("m1", "http://10.0.0.1:2380"), ("m9", "http://10.0.0.9:2380")]))
    assert pairs["initial-cluster"] == "m1=http://10.0.0.1:2380,m9=http://10.0.0.9:2380"
    assert pairs["initial-cluster-state"] == "existing"


# -- IPv6 --------------------------------------------------------------------------------------------------------------


def without_ipv6() -> bool:
    return not (socket.has_ipv6 and ports.is_free(0, "::1"))


needs_ipv6 = pytest.mark.skipif(without_ipv6(), reason="this machine has no ::1")


@needs_ipv6
@pytest.mark.parametrize("host", ["[::1]", "[0:0:0::1]", "six.example"])
def test_ports_of_ipv6_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    give_names(monkeypatch, {"six.example": ["::1"]})
    with ports.listen("::1", 0) as server:
        taken = server.getsockname()[1]
        case = Case(replace(spec(tmp_path), peer_url=f"http://{host}:{taken}", client_url=f"http://{host}:0"), view(1), False)
        (found,) = checks.check_ports(case)
        assert found.level == "error" and found.text.startswith("cannot listen on") and f"]:{taken}" in found.text
    assert list(checks.check_ports(case)) == []


def test_one_port_cannot_be_both(tmp_path: Path) -> None:
    """Each alone is free, so only the comparison shows it; etcd would end once it is registered."""
    both = replace(spec(tmp_path), peer_url="https://H:1", client_url="http://h:1")
    assert "both its peer URL and its client URL" in next(checks.check_ports(Case(both, view(1), resumed=True))).text


@needs_ipv6
@pytest.mark.parametrize("holder", ["::", "::1", "127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("wanted", ["::", "0.0.0.0"])
def test_either_wildcard_needs_both_families(holder: str, wanted: str) -> None:
    """Go listens on both, so whoever has the port on one address of one family keeps etcd from starting."""
    with ports.listen(holder, 0) as server:
        assert not ports.is_free(server.getsockname()[1], wanted)


@needs_ipv6
@pytest.mark.parametrize("voter", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("name", ["four.example", "six.example", "both.example"])
def test_voters_of_either_family_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voter: str, name: str) -> None:
    give_names(monkeypatch, {"four.example": ["127.0.0.1"], "six.example": ["::1"], "both.example": ["::1", "127.0.0.1"]})
    with ports.listen("::1", 0) as server:
        port = server.getsockname()[1]
    new = replace(spec(tmp_path), peer_url=f"http://{name}:{port}")

    def dial() -> None:
        for _ in range(100):
            try:
                with socket.create_connection((voter, port), timeout=1) as dialled:
                    dialled.send(b"x")
                    return
            except OSError:
                time.sleep(0.02)

    dialling = threading.Thread(target=dial)
    dialling.start()
    literal = f"[{voter}]" if ":" in voter else voter
    assert inbound_probe.expect_voters(new, [f"http://{literal}:1"], seconds=3) == []
    dialling.join()


def test_an_address_that_is_not_here_cannot_be_listened_on(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot listen on http://\[fd00::dead:beef\]:1"):
        inbound_probe.expect_voters(replace(spec(tmp_path), peer_url="http://[fd00::dead:beef]:1"), [], seconds=0.1)
