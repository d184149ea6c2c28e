"""What cannot work is refused before etcd registers it: etcd itself registers nearly anything."""

from __future__ import annotations

import json

import pytest
from conftest import RunCli

from real.machines import Machine, flags_of

pytestmark = pytest.mark.real


@pytest.mark.parametrize("verb", [["etcd", "add"], ["etcd", "member", "add", "--learner"]], ids=["add", "member-add"])
def test_what_cannot_work_is_not_registered(machine: Machine, cli: RunCli, verb: list[str]) -> None:
    first = machine.home.load().members[0]
    client, peer = first.client_url, first.peer_url
    for name, url, finding in (
        ("d=e", machine.peer_url, "cannot be a member name"),
        ("d\n", machine.peer_url, "cannot be a member name"),
        ("m1", machine.peer_url, "a member named m1 already exists"),
        ("m9", client, "is a client URL of m1"),
        ("m9", machine.peer_url.replace("https", "http"), "the members' peer URLs are https"),
        ("m9", f"https://0.0.0.0:{machine.peer_port}", "no other member can reach it"),
        ("m9", peer.replace("127.0.0.1", "[::ffff:127.0.0.1]"), "is the peer URL of m1"),
        ("m9", peer.replace("127.0.0.1", "localhost"), "another of its addresses"),
    ):
        done = cli(*verb, name, f"--peer-urls={url}", *flags_of(machine.home))
        assert done.returncode == 2 and finding in done.stderr, (name, url, done.stderr)
        assert "nothing was changed" in done.stderr
    listed = cli("etcd", "member", "list", *flags_of(machine.home), "-w", "json")
    assert [row["name"] for row in json.loads(listed.stdout)["members"]] == ["m1"]
