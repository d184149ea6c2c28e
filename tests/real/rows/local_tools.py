"""Local clusters of the rows, asked by etcdctl, and the tool killed beside them."""

from __future__ import annotations

import subprocess

from conftest import engine

from quorate.local.home import Home
from real.rows.harness import Done, Point, Tool, processes_with, until


def ctl(home: Home, *arguments: str, seconds: float = 3.0) -> subprocess.CompletedProcess[str]:
    pki = home.layout.pki
    ports = ",".join(f"https://127.0.0.1:{member.client_port}" for member in home.load().members)
    files = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]
    command = [engine("etcdctl"), f"--endpoints={ports}", f"--command-timeout={seconds}s", *files, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 20)


def must(home: Home, *arguments: str) -> str:
    """etcdctl until etcd agrees: it refuses changes for a while after others. A member that removes itself may end before it
    answers; then there is no such member at the next try."""
    done: list[subprocess.CompletedProcess[str]] = []

    def works() -> bool:
        done.append(ctl(home, *arguments))
        is_gone = arguments[:2] == ("member", "remove") and len(done) > 1 and "member not found" in done[-1].stderr.casefold()
        return done[-1].returncode == 0 or is_gone

    until(works, 20, f"etcdctl {arguments} never worked")
    return done[-1].stdout


def roles(home: Home) -> dict[str, str]:
    """Name to role, as etcdctl shows it."""
    rows = [row.split(", ") for row in must(home, "member", "list").splitlines()]
    return {row[2]: "learner" if row[5] == "true" else "voter" for row in rows}


def row_of(home: Home, role: str = "false", name: str = "") -> str:
    rows = [row.split(", ") for row in must(home, "member", "list").splitlines()]
    return next(row[0] for row in rows if row[5] == role and name in ("", row[2]))


def remove(home: Home, name: str) -> None:
    """As an operator, until the member is off the list: one that is asked to remove itself may end before it answers."""
    member = row_of(home, name=name)

    def gone() -> bool:
        ctl(home, "member", "remove", member)
        return member not in must(home, "member", "list")

    until(gone, 20, f"etcdctl did not remove {name}")


def correct_url(home: Home, name: str) -> None:
    """As an operator: the same address, written in another way."""
    port = next(member.peer_port for member in home.load().members if member.name == name)
    must(home, "member", "update", row_of(home, name=name), f"--peer-urls=https://localhost:{port}")


def runs(home: Home, name: str) -> bool:
    return bool(processes_with(f"--data-dir={home.layout.member(name).data}"))


def killed_at(tools: list[Tool], home: Home, verb: str, point: Point, *more: str) -> None:
    killed(tools, home, point, "local", verb, *more)


def killed(tools: list[Tool], home: Home, point: Point, *words: str) -> Done:
    """The end of a run of the tool on the cluster that dies at the point."""
    done = started(tools, home, [point], *words).end()
    assert done.code == 137, done
    return done


def started(tools: list[Tool], home: Home, points: list[Point], *words: str) -> Tool:
    """A run of the tool on the cluster."""
    tools.append(Tool(home.layout.root.parent / f"run{len(tools)}", [*words, "--dir", str(home.layout.root)], points))
    return tools[-1]
