"""A lab whose etcds have a machine each, and the links between those cut silently: packets vanish, nobody is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from conftest import engine
from netlab import net_lab, run

from real.rows.harness import Etcd, Lab

PEER_PORT = "2380"
HUB_ADDRESS = "10.77.0.254"


@contextmanager
def machines_in(folder: Path, version: str, count: int) -> Iterator[Lab]:
    """A lab whose first etcds, `n1` and on, are on machines of their own; none is started."""
    (folder / "net").mkdir()
    (folder / "lab").mkdir()
    with net_lab(folder / "net", engine(f"etcd-{version}"), count) as net:
        lab = Lab(folder / "lab", net.etcd, beside=("nsenter", f"--net=/run/netns/{net.hub}"))
        for node in net.nodes:
            _let_rules_see_what_arrives(node.space)
            urls = (f"http://{node.address}:{PEER_PORT}", f"http://{node.address}:2379")
            lab.etcds.append(Etcd(node.name, net.etcd, lab.folder / node.name, *urls, before=tuple(node.inside)))
        try:
            yield lab
        finally:
            lab.end()


def _let_rules_see_what_arrives(space: str) -> None:
    """The table of local addresses is looked up first of all; behind our rules these drop arriving packets as well."""
    run("ip", "-n", space, "rule", "add", "pref", "200", "lookup", "local")
    run("ip", "-n", space, "rule", "del", "pref", "0")


def cut_peers(one: Etcd, *others: Etcd) -> None:
    """As members they do not reach each other any more, in neither direction; clients reach all of them."""
    for selector in _selectors(*others):
        run("ip", "-n", _space(one), "rule", "add", "pref", "10", *selector, "blackhole")


def join_peers(one: Etcd, *others: Etcd) -> None:
    for selector in _selectors(*others):
        run("ip", "-n", _space(one), "rule", "del", "pref", "10", *selector, "blackhole")


def cut(one: Etcd, *others: Etcd) -> None:
    """Nothing at all arrives from one at the other."""
    for here, there in [pair for other in others for pair in ((one, other), (other, one))]:
        run("ip", "-n", _space(here), "rule", "add", "pref", "10", "from", _address(there), "blackhole")


def cut_from_here(one: Etcd) -> None:
    """Nothing arrives at it from the machine that is no member's."""
    run("ip", "-n", _space(one), "rule", "add", "pref", "10", "from", HUB_ADDRESS, "blackhole")


def heal(one: Etcd, *others: Etcd) -> None:
    for here, there in [pair for other in others for pair in ((one, other), (other, one))]:
        run("ip", "-n", _space(here), "rule", "del", "pref", "10", "from", _address(there), "blackhole")


def _selectors(*others: Etcd) -> list[tuple[str, ...]]:
    ways = [(way, _address(other)) for other in others for way in ("from", "to")]
    return [(*way, "ipproto", "tcp", port, PEER_PORT) for way in ways for port in ("sport", "dport")]


def _space(etcd: Etcd) -> str:
    return etcd.before[1].rpartition("/")[2]


def _address(etcd: Etcd) -> str:
    return etcd.peer_url.removeprefix("http://").partition(":")[0]


def mute(one: Etcd, *others: Etcd) -> None:
    """What it sends as a member does not arrive at the others, who may still send to it: data is lost, connections stay."""
    for other in others:
        _drop_data(other, _address(one), PEER_PORT)


def mute_clients(one: Etcd, lab: Lab) -> None:
    """Its answers to clients do not arrive on the machine that is no member's."""
    inside = ("nsenter", lab.beside[1])
    _drop(inside, _address(one), ("--sport", "2379"))


def _drop_data(receiver: Etcd, sender: str, port: str) -> None:
    for way in ("--sport", "--dport"):
        _drop(receiver.before, sender, (way, port))


def _drop(inside: Sequence[str], sender: str, port: Sequence[str]) -> None:
    flags = ("--tcp-flags", "PSH", "PSH")
    run(*inside, "iptables", "-w", "-A", "INPUT", "-s", sender, "-p", "tcp", *port, *flags, "-j", "DROP")
