"""Which member of a cluster a local command means: the one whose data lies here. Another machine's may have the same name."""

from __future__ import annotations

import shutil

import pytest

from quorate.local import cluster, removal
from quorate.local.home import Home
from real.rows.harness import Etcd, Lab, until
from real.rows.local_tools import must, roles, row_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.fixture
def far(lab: Lab, home: Home) -> Etcd:
    """An etcd of another machine that is to be named m1 in the cluster of three in `home`."""
    cluster.up(home, 3, lab.program)
    pki = lab.folder / "pki"
    shutil.copytree(home.layout.member("m1").pki, pki)
    files = [
        f"--{kind}{flag}={pki}/{file}"
        for kind, pair in (("", "server"), ("peer-", "peer"))
        for flag, file in (("cert-file", f"{pair}.crt"), ("key-file", f"{pair}.key"), ("trusted-ca-file", "ca.crt"))
    ]
    etcd = lab.etcd("m1", more=("--max-learners=6", "--client-cert-auth", "--peer-client-cert-auth", *files))
    etcd.peer_url, etcd.client_url = (url.replace("http:", "https:") for url in (etcd.peer_url, etcd.client_url))
    return etcd


def test_a_member_of_another_machine_with_the_same_name_does_not_leave(home: Home, far: Etcd) -> None:
    """The data of m1 is lost, an operator removed m1, and a member of another machine took the name."""
    began = row_of(home, name="m1")
    assert f"{home.load().member('m1').memory.member_id:x}" == began
    cluster.kill(home, "m1")
    shutil.rmtree(home.layout.member("m1").data)
    must(home, "member", "remove", began)
    must(home, "member", "add", "m1", "--learner", f"--peer-urls={far.peer_url}")
    rows = [(row.name, row.peer_url) for row in home.load().members if row.name != "m1"]
    far.start([*rows, ("m1", far.peer_url)])
    until(lambda: roles(home).get("m1") == "learner", 20)
    joined = row_of(home, role="true", name="m1")
    must(home, "member", "promote", joined)
    cluster.leave(home, "m1")
    assert roles(home) == dict.fromkeys(("m1", "m2", "m3"), "voter") and row_of(home, name="m1") == joined
    assert far.alive and [row.name for row in home.load().members] == ["m2", "m3"]


def test_a_member_without_a_record_of_its_process_is_not_known_to_have_ended(home: Home, etcd36: str) -> None:
    """Somebody deleted it: a voter that hung for two seconds was removed as dead, without a watch. Its ports are held."""
    cluster.up(home, 3, etcd36)
    record = home.layout.member("m3").process
    kept = record.read_bytes()
    record.unlink()
    member = home.load().member("m3")
    assert not removal._has_ended(home, member)
    record.write_bytes(kept)
    cluster.stop(home, "m3")
    assert removal._has_ended(home, member)
