"""How much arrived, how fast, and what the leader's metrics tell of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.common.progress import describe
from quorate.core.meters import RateMeter
from quorate.etcd.client.metrics import parse
from quorate.etcd.observation.replication import fed_by
from quorate.host import etcd_data
from quorate.report import Event

PAGE = """# HELP etcd_network_active_peers The current number of active peer connections.
etcd_network_active_peers{Local="a",Remote="b7"} 1
etcd_network_active_peers{Local="a",Remote="c"} 0
etcd_network_snapshot_send_inflights_total{To="b7"} 1
etcd_disk_wal_fsync_duration_seconds_sum 4.5
etcd_disk_wal_fsync_duration_seconds_count 90
go_goroutines 5
nonsense{
"""


def test_what_the_metrics_say() -> None:
    found = parse(PAGE)
    assert found.snapshot_in_flight(0xB7) and not found.snapshot_in_flight(0xC)
    assert found.linked(0xB7) and not found.linked(0xC) and not found.linked(0xD)
    assert found.fsync_seconds == pytest.approx(0.05)
    assert parse("").fsync_seconds == 0.0


LEADS = "etcd_server_is_leader 1\n"


@pytest.mark.parametrize(
    ("page", "way"),
    [
        (LEADS, "log"),
        (LEADS + 'etcd_network_snapshot_send_success{To="b7"} 1\n', "snapshot"),
        (LEADS + 'etcd_network_snapshot_send_inflights_total{To="b7"} 1\n', "snapshot"),
        (LEADS + 'etcd_network_snapshot_send_success{To="c"} 1\n', "log"),
        ("etcd_server_is_leader 0\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_leader_tells_by_which_way_a_member_got_its_data(page: str, way: str) -> None:
    assert fed_by(parse(page), 0xB7) == way


@given(st.text())
def test_whatever_a_port_prints_is_read_without_an_error(page: str) -> None:
    parse(page)
    parse(f'etcd_network_active_peers{{Remote="{page}"}} 1')


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50))
def test_a_rate_is_never_negative(counts: list[int]) -> None:
    meter = RateMeter()
    assert all(meter.per_second(float(at), count) >= 0 for at, count in enumerate(counts))


def test_a_rate_looks_at_the_last_seconds_only() -> None:
    meter = RateMeter()
    rates = [meter.per_second(at / 2, 100 * at if at < 40 else 4000) for at in range(60)]
    assert rates[10] == pytest.approx(200) and rates[-1] == 0.0


def test_what_arrived_is_the_largest_database_there(tmp_path: Path) -> None:
    assert etcd_data.received_bytes(tmp_path) is None
    snap = tmp_path / "member" / "snap"
    snap.mkdir(parents=True)
    assert etcd_data.received_bytes(tmp_path) is None
    (snap / "db").write_bytes(b"x" * 100)
    (snap / "tmp123").write_bytes(b"x" * 9000)
    assert etcd_data.received_bytes(tmp_path) == 9000
    with (snap / "0000000000000064.snap.db").open("wb") as sparse:
        sparse.truncate(1 << 30)
    assert etcd_data.received_bytes(tmp_path) == 9000, "room set aside is not data"


def test_a_transfer_is_told_with_its_rate_and_what_is_left() -> None:
    event = Event("catch-up", "m2", "receiving the data", None, None, 120_000_000, 500_000_000, 25_000_000, 15.2)
    assert describe(event) == "receiving the data, 120 MB of 500 MB, 25 MB/s, about 15 s left"


def test_a_second_snapshot_counts_from_its_own_beginning(tmp_path: Path) -> None:
    folder = tmp_path / "member" / "snap"
    folder.mkdir(parents=True)
    (folder / "db").write_bytes(b"x" * 50_000)
    assert etcd_data.received_bytes(tmp_path) == 50_000
    (folder / "tmp123").write_bytes(b"x" * 7_000)
    assert etcd_data.received_bytes(tmp_path) == 7_000
    (folder / "tmp123").rename(folder / "0000.snap.db")
    assert etcd_data.received_bytes(tmp_path) == 50_000
