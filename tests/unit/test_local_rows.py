"""Which row of etcd's list is a member of a local cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member
from quorate.errors import Refused
from quorate.local.home import Home
from quorate.local.layout import Layout
from quorate.local.rows import is_listed, listed_row, row_of
from quorate.local.state import LocalMember

OURS = LocalMember("m1", 15001, 15002, "/bin/etcd", "member")
SAVED = OURS.remembering(JoinMemory(member_id=0xA, listed=True))


def listed(*members: Member) -> ClusterView:
    return ClusterView(7, members, {}, 0.0)


def test_a_name_alone_is_no_member(tmp_path: Path) -> None:
    home, far = Home(Layout(tmp_path)), Member(0xB, "m1", ("https://10.0.0.9:2380",))
    assert row_of(home, listed(far), OURS) is None and not is_listed(home, listed(far), OURS)


def test_a_saved_id_chooses_the_row_and_the_url_does_where_there_is_none(tmp_path: Path) -> None:
    home, moved = Home(Layout(tmp_path)), Member(0xA, "m1", ("https://localhost:15001",))
    later = replace(moved, id=0xB, peer_urls=(OURS.peer_url,))
    assert row_of(home, listed(moved, later), SAVED) == moved
    assert row_of(home, listed(later), SAVED) is None
    assert row_of(home, listed(moved, later), OURS) == later


def test_data_that_cannot_be_read_names_no_row_and_stops_only_what_would_delete_it(tmp_path: Path) -> None:
    home, moved = Home(Layout(tmp_path)), Member(0xA, "m1", ("https://localhost:15001",))
    wal = home.layout.member("m1").data / "member" / "wal"
    wal.mkdir(parents=True)
    (wal / "0-0.wal").write_bytes(b"no log")
    assert listed_row(home, listed(moved), SAVED) == moved
    with pytest.raises(Refused, match="the data of m1 cannot be read"):
        row_of(home, listed(moved), SAVED)
