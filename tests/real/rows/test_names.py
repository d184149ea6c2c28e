"""Rows D1, F1, I1, I6, M1, N1, V1, V2: which member, which process and which address is meant."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from conftest import RunCli, engine

from quorate.core.restarts import StartBudget
from quorate.host import ports
from real.rows.harness import Etcd, Lab, processes_with, until
from real.rows.relay import delayed

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


# -- names and addresses -----------------------------------------------------------------------------------------------


def test_n1_a_name_that_cannot_be_one_is_refused_before_anything_is_registered(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    for joiner.name in ("", "d,x=http://127.0.0.1:1", "d=e"):
        tool = lab.add(joiner, [a])
        assert tool.end().code != 0
        assert tool.count("before MemberAdd") == 0, joiner.name
    lab.sound(a, {"a"})


def test_a_grpc_proxy_is_named_as_one(lab: Lab) -> None:
    (a,) = lab.voters("a")
    (port,) = ports.reserve(1, lab.folder)
    seed = f"127.0.0.1:{port}"
    command = [
        a.program,
        "grpc-proxy",
        "start",
        f"--endpoints={a.client_url}",
        f"--listen-addr={seed}",
        f"--data-dir={lab.folder}/p",
    ]
    with subprocess.Popen(
        [*command, f"--advertise-client-url={seed}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as proxy:
        try:
            until(lambda: not ports.is_free(port), 10, "the proxy does not begin")
            for words in (["status"], ["remove", "a"]):
                done = lab.quorate("etcd", *words, f"--endpoints={seed}").end()
                assert done.code == 1 and "an etcd grpc-proxy answers there" in done.out and '"proxy"' in done.out, done
        finally:
            proxy.kill()


def test_i1_a_learner_is_recognised_under_the_very_url_it_was_registered_with(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    joiner.peer_url = joiner.peer_url.replace("127.0.0.1", "LOCALHOST")
    lab.must(a, "member", "add", "d", "--learner", f"--peer-urls={joiner.peer_url}")
    joiner.listen_peer = joiner.peer_url.replace("LOCALHOST", "127.0.0.1")
    done = lab.add_elsewhere(joiner, [a]).end()
    assert done.code == 0, done
    lab.sound(a, {"a", "d"})


@pytest.mark.parametrize("promoted", [True, False], ids=["voter", "learner"])
def test_the_peer_url_of_a_started_member_is_not_given_to_another_name(lab: Lab, promoted: bool) -> None:
    (a,) = lab.voters("a")
    there, joiner = lab.etcd("b"), lab.etcd("d")
    lab.must(a, "member", "add", "b", "--learner", f"--peer-urls={there.peer_url}")
    there.start([("a", a.peer_url), ("b", there.peer_url)])
    until(lambda: "b" in lab.roles(a), 15, "the learner does not publish its name")
    if promoted:
        until(lambda: lab.ctl(a, "member", "promote", lab.id_of(a, "b")).returncode == 0, 15, "it is not promoted")
    before = lab.members(a)
    joiner.peer_url = there.peer_url
    for dry in ((), ("--dry-run",)):
        tool = lab.add_elsewhere(joiner, [a], *dry)
        done = tool.end()
        assert "peer-url-taken" in done.err + done.out or "is the peer URL of b" in done.err, done
        assert (done.code, tool.count("before MemberAdd"), tool.count("before MemberRemove")) == (2, 0, 0), done
    assert lab.members(a) == before and there.alive


def test_m1_a_learner_with_two_peer_urls_is_found_by_its_second(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    (further,) = ports.reserve(1, lab.folder)
    # etcd keeps them in this order.
    first, second = sorted([joiner.peer_url, f"http://127.0.0.1:{further}"])
    lab.must(a, "member", "add", "d", "--learner", f"--peer-urls={first},{second}")
    joiner.peer_url = f"{first},{second}"
    tool = lab.add_elsewhere(joiner, [a], f"--peer-urls={second}")
    done = tool.end()
    assert "Traceback" not in done.err
    if done.code == 0:
        lab.sound(a, {"a", "d"})
    else:
        assert tool.count("before MemberAdd") == 0, done


def test_i6_a_member_on_ipv6_is_run_on_this_host(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d", host="[::1]")
    done = lab.add(joiner, [a]).end()
    assert done.code == 0, done
    lab.sound(a, {"a", "d"})


@pytest.mark.chaos
def test_d1_a_joiner_whose_client_port_is_far_away_joins(lab: Lab) -> None:
    """0.1 s there and back."""
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    (port,) = ports.reserve(1, lab.folder)
    joiner.advertised = f"http://127.0.0.1:{port}"
    with delayed(port, int(joiner.client_url.rpartition(":")[2]), 0.05):
        done = lab.add_elsewhere(joiner, [a]).end()
        assert done.code == 0, done
    lab.sound(a, {"a", "d"})


# -- processes ---------------------------------------------------------------------------------------------------------


def counting(lab: Lab) -> tuple[Path, Path]:
    """An etcd that tells of each start in a file; returns it, and the file."""
    script, starts = lab.folder / "etcd-counting", lab.folder / "starts"
    starts.touch()
    lines = ["#!/bin/sh", f'[ "$1" = --version ] && exec {lab.program} --version', f"echo start >>{starts}"]
    script.write_text("\n".join([*lines, f'exec {lab.program} "$@"', ""]))
    script.chmod(0o755)
    return script, starts


@pytest.mark.parametrize("same", [True, False], ids=["same", "wrong"])
def test_v1_beside_a_healthy_voter_no_second_etcd_is_started(lab: Lab, same: bool) -> None:
    """`same`: its data is seen by this host under another path; `wrong`: a folder without data is named."""
    a, b = lab.voters("a", "b")
    done, starts = _add_again(lab, a, b, same=same)
    assert starts == 0, "an etcd was started"
    # Nothing is left to do; with the wrong folder the tool may as well say so before it does anything.
    assert done in ((0,) if same else (0, 2, 3, 4))
    lab.sound(a, {"a", "b"})


def _add_again(lab: Lab, a: Etcd, b: Etcd, *, same: bool) -> tuple[int, int]:
    """Exit code, and how many etcds were started."""
    script, starts = counting(lab)
    link = lab.folder / "link"
    link.symlink_to(b.folder)
    again = Etcd("b", str(script), link if same else lab.folder / "empty", b.peer_url, b.client_url)
    done = lab.add(again, [a], "--timeout=6").end(90)
    return done.code, len(starts.read_text().split())


@pytest.mark.chaos
def test_v2_a_hung_voter_is_not_started_again_and_again(lab: Lab) -> None:
    a, b, c = lab.voters("a", "b", "c")
    lab.lead(a, [a, b, c])
    b.pause()
    _, starts = _add_again(lab, a, b, same=True)
    # At 0, 1, 3, 7 and 15 s: how many fit in depends on how busy this machine is.
    assert starts <= StartBudget().most
    b.go_on()
    lab.sound(a, {"a", "b", "c"})


def test_v2_a_voter_that_was_started_again_by_hand_is_taken_as_it_is(lab: Lab) -> None:
    """The tool started it once, and what it wrote down of that process is of one that is gone."""
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    assert lab.add(joiner, [a]).end().code == 0
    joiner.kill()
    joiner.start()
    until(lambda: lab.writes(joiner, 1.0), 15, "it does not come back")
    done = lab.add(joiner, [a], "--timeout=4").end(25)
    assert done.code == 0, done
    lab.sound(a, {"a", "d"})


def test_f1_the_etcd_of_a_container_at_the_same_path_is_left_alone(cli: RunCli, tmp_path: Path) -> None:
    """It has the arguments of ours, and mounts of its own."""
    folder = tmp_path / "cluster"
    up = cli("local", "up", "--members", "1", "--dir", str(folder), "--etcd", engine("etcd-3.6"))
    assert up.returncode == 0, up.stderr
    data = f"--data-dir={folder}/members/m1/data"
    (pid,) = processes_with(data)
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    assert cli("local", "down", "--dir", str(folder)).returncode == 0
    inside = f'mount -t tmpfs none {folder}/members/m1/data && exec "$@"'
    with (tmp_path / "log").open("wb") as log:
        container = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", f"ip link set lo up; {inside}", "sh", *command], stdout=log, stderr=log
        )
    try:
        until(lambda: container.poll() is not None or processes_with(data), 10)
        time.sleep(0.5)
        down = cli("local", "down", "--purge", "--dir", str(folder))
        assert down.returncode == 0, down.stderr
        assert container.poll() is None and processes_with(data) == [container.pid], "it was ended"
    finally:
        container.kill()
        container.wait()
        cli("local", "down", "--purge", "--dir", str(folder))
