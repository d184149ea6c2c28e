"""Commands of etcdctl, etcdutl and kubeadm that quorate does not have: the command to run instead, without passwords."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import click
import pytest
from conftest import engine

from quorate.cli.common.foreign_commands import OURS, instead_of
from quorate.cli.etcd.group import group
from quorate.cli.main import main, run_with
from quorate.local import cluster
from quorate.local.home import Home

SECRET = "hunter2"


def answer(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the error advises."""
    assert run_with(shlex.split(line)) in (3, 4)
    told = capsys.readouterr().err
    assert SECRET not in told
    return told.rpartition("next: ")[2].strip()


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("etcd --endpoints a:1 --cacert ca.crt get k", "etcdctl get k --endpoints=a:1 --cacert=ca.crt"),
        ("etcd --command-timeout 500ms --debug get k", "etcdctl get k --command-timeout=0.5s --debug=true"),
        ("etcd get k --debug=false --hex=true", "etcdctl get k --debug=false --hex"),
        ("etcd --password-file 'p w' auth enable", """ETCDCTL_PASSWORD="$(cat 'p w')" etcdctl auth enable"""),
        ("etcd compact 5", "etcdctl compaction 5"),
        ("etcd ls /a", "etcdctl get --prefix --keys-only /a    # or to see the members: quorate etcd members"),
        ("etcd rm m1", "etcdctl del m1    # or to remove a member: quorate etcd remove"),
        ("local rm m1", """eval "$(quorate local env)"; etcdctl del m1    # or to remove a member: quorate local leave"""),
        ("etcd watch /foo", "etcdctl watch /foo    # or to watch the members: quorate etcd watch"),
        (
            "etcd --endpoints a:1 watch --prefix foo --count 3",
            "etcdctl watch --prefix foo --endpoints=a:1    # or to watch the members: quorate etcd watch",
        ),
        ("etcd status --dir ./try -o table", """eval "$(quorate local env --dir ./try)"; quorate etcd status -o table"""),
        ("etcd --dir=./try member list", """eval "$(quorate local env --dir ./try)"; quorate etcd member list"""),
        ("etcd remove m2 --dir 'a b'", """eval "$(quorate local env --dir 'a b')"; quorate etcd remove m2"""),
        ("local restart m1 --dir d", "quorate local stop m1 --dir d && quorate local start m1 --dir d"),
        ("local restart", "quorate local down && quorate local up"),
        ("local remove m1", "quorate local leave m1"),
        ("local delete m1 --dir d", "quorate local leave m1 --dir d"),
        ("local destroy --dir d", "quorate local down --purge --dir d"),
        ("local replace m1 m4", "quorate etcd replace m1 m4 --dir DIR"),
        ("local watch", """eval "$(quorate local env)"; quorate etcd watch"""),
        ("autopilot start --dir d", "quorate autopilot run --dir d"),
        ("autopilot stop", "quorate autopilot pause --for 2h    # an instance ends by Ctrl-C, a service by systemctl"),
        ("autopilot unhold m2", "quorate autopilot hold m2 --for 0"),
        (
            "config view",
            "kubectl get cm -n kube-system kubeadm-config -o yaml    # or for kubeconfig files: kubectl config view",
        ),
        ("get nodes -o wide", "kubectl get nodes -o wide"),
        ("get /registry", "etcdctl get /registry"),
        ("etcd defrag --cluster", "etcdctl defrag --cluster"),
        ("etcd defrag --data-dir=d", "etcdutl defrag --data-dir=d"),
        ("etcd hashkv d/member/snap/db", "etcdutl hashkv d/member/snap/db"),
        ("etcd endpoint health", "etcdctl endpoint health    # or our own view: quorate etcd health"),
        ("etcd member update 1 --peer-urls u", "etcdctl member update 1 --peer-urls u"),
        ("etcd member --endpoints=a:1 update 1", "etcdctl member update 1 --endpoints=a:1"),
        ("snapshot save x.db", "etcdctl snapshot save x.db    # or with what it does not check: quorate etcd snapshot save"),
        ("endpoint status", "etcdctl endpoint status    # or our own view: quorate etcd status"),
        ("member list -w table", "quorate etcd member list -w table"),
        ("member update 1", "etcdctl member update 1"),
        ("member rm m1", "quorate etcd member remove m1"),
        ("local snapshot save x.db", """eval "$(quorate local env)"; etcdctl snapshot save x.db"""),
        ("local get k --dir 'a b'", """eval "$(quorate local env --dir 'a b')"; etcdctl get k"""),
        (
            "local endpoint health",
            """eval "$(quorate local env)"; etcdctl endpoint health    # or our own view: quorate local status""",
        ),
        ("upgrade", "kubeadm upgrade plan    # also for nodes that quorate made"),
        ("upgrade apply v1.35.0", "kubeadm upgrade apply v1.35.0    # also for nodes that quorate made"),
        ("alpha certs renew all", "quorate certs renew all"),
        ("etcd ls", "etcdctl get --prefix --keys-only ''    # or to see the members: quorate etcd members"),
        ("etcdctl member list", "quorate etcd member list"),
        ("etcdctl --endpoints a:1 member list", "quorate etcd --endpoints=a:1 member list"),
        ("etcdctl move-leader 1", "quorate etcd move-leader 1"),
        ("etcdctl get k", "etcdctl get k"),
        ("etcdctl watch k", "etcdctl watch k    # or to watch the members: quorate etcd watch"),
        ("etcdctl", "quorate etcd --help"),
        ("kubeadm init --skip-phases=certs", "quorate init --skip-phases=certs"),
        (f"kubeadm join h:1 --token {SECRET}", "quorate join h:1"),
        ("kubeadm alpha certs renew all", "quorate certs renew all"),
        ("quorate etcd status", "quorate etcd status"),
        ("kubectl get pods", "kubectl get pods"),
        ("kubectl", "kubectl"),
        ("drain node-a", "kubectl drain node-a"),
        ("describe pod x", "kubectl describe pod x"),
        ("apply -f x.yaml", "kubectl apply -f x.yaml"),
        ("delete node node-a", "kubectl delete node node-a"),
    ],
)
def test_the_command_to_run_is_named(line: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(line, capsys) == command


@pytest.mark.parametrize(("name", "today"), [("ls", "get --prefix --keys-only"), ("rm", "del"), ("compact", "compaction")])
def test_a_name_of_the_old_api_gets_that_of_today(name: str, today: str) -> None:
    problem = instead_of([name, "x"])
    assert problem is not None and problem.what == f"quorate has no command '{name}': etcdctl calls it '{today}'"


@pytest.mark.real
def test_etcdctl_takes_the_answer_for_a_list_of_all_keys(home: Home, etcd36: str) -> None:
    """Its `get` refuses to run without a key."""
    problem = instead_of(["ls"])
    assert problem is not None
    (found,) = cluster.up(home, 1, etcd36).view.members
    pki = home.layout.pki
    names = {"ENDPOINTS": found.client_urls[0], "CACERT": str(pki / "ca.crt")}
    names |= {"CERT": str(pki / "healthcheck-client.crt"), "KEY": str(pki / "healthcheck-client.key")}
    words = shlex.split(problem.advice, comments=True)
    variables = {f"ETCDCTL_{name}": value for name, value in names.items()}
    done = subprocess.run([engine("etcdctl"), *words[1:]], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (f"get k --user root:{SECRET}", "etcdctl get k --user=root"),
        (f"get k --user=root:{SECRET} --prefix", "etcdctl get k --user=root --prefix"),
        (f"get k -u root:{SECRET}", "etcdctl get k --user=root"),
        (f"get k -uroot:{SECRET}", "etcdctl get k --user=root"),
        (f"get k -user root:{SECRET}", "etcdctl get k --user=root"),
        (f"get k -u=root:{SECRET}", "etcdctl get k --user=root"),
        (f"get k -uroot:=@{SECRET}", "etcdctl get k --user=root"),
        (f"get k --username root:{SECRET}", "etcdctl get k --user=root"),
        (f"get k --password {SECRET} --prefix", "etcdctl get k --prefix"),
        (f"get k --password={SECRET}", "etcdctl get k"),
        (f"get k -password {SECRET}", "etcdctl get k"),
        (f"get k --passwd {SECRET}", "etcdctl get k"),
        ("get k --password", "etcdctl get k"),
        (f"get k --endpoints https://me:{SECRET}@h:1,me:{SECRET}@i:1", "etcdctl get k --endpoints=https://h:1,i:1"),
        (f"user add me:{SECRET}", "etcdctl user add me"),
        (f"user --user root:{SECRET} add me:{SECRET}", "etcdctl user --user=root add me"),
        (f"user --command-timeout 5s add me:{SECRET}", "etcdctl user --command-timeout 5s add me"),
        (f"user add -- me:{SECRET}", "etcdctl user add -- me"),
        (f"user passwd me:{SECRET}", "etcdctl user passwd me"),
        (f"user add me --new-user-password={SECRET}", "etcdctl user add me"),
        ("user add me --no-password", "etcdctl user add me --no-password"),
        ("user passwd me --interactive=false", "etcdctl user passwd me --interactive=false"),
        (f"make-mirror h:1 --dest-user a:{SECRET} --dest-password {SECRET}", "etcdctl make-mirror h:1 --dest-user=a"),
    ],
)
def test_a_password_is_never_repeated(words: str, kept: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(f"etcd {words}", capsys) == kept
    assert answer(words, capsys) == kept


@pytest.mark.parametrize(
    "line",
    [
        f"etcd --endpoints https://me:{SECRET}@h:1 get k",
        f"member list --user root:{SECRET}",
        f"upgrade apply --certificate-key {SECRET}",
        f"alpha certs renew --certificate-key={SECRET}",
    ],
)
def test_nor_where_the_answer_is_another_one(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer(line, capsys)


def test_the_answer_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["etcd", "get", "\x1b[2J"]) == 3
    told = capsys.readouterr().err
    assert "\x1b" not in told and "etcdctl get $'\\x1b[2J'" in told


def test_a_program_gets_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["etcd", "endpoint", "status", "-o", "json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "usage" and error["advice"].startswith("etcdctl endpoint status")


def commands_of(program: str, *above: str) -> list[str]:
    """The commands that a program's help lists."""
    text = subprocess.run([engine(program), *above, "--help"], capture_output=True, text=True, check=True).stdout
    listed = re.search(r"(?:COMMANDS|Available Commands):\n(.*?)\n\n", text, re.DOTALL)
    assert listed is not None
    return [re.split(r"\t|  +", line.strip())[0] for line in listed[1].splitlines()]


def test_every_command_of_etcdctl_and_etcdutl_is_here_or_is_answered() -> None:
    ours = {name: group.get_command(click.Context(group), name) for name in group.list_commands(click.Context(group))}
    unknown = []
    for program in ("etcdctl", "etcdutl"):
        for command in commands_of(program):
            words = command.split()
            known = ours.get(words[0])
            if isinstance(known, click.Group) and len(words) > 1:
                known = known.commands.get(words[1])
            if known is None and instead_of(words) is None and words[0] not in main.commands:
                unknown.append(f"{program} {command}")
    assert unknown == []


@pytest.mark.parametrize(("above", "program"), [("snapshot", "etcdutl"), ("snapshot", "etcdctl"), ("endpoint", "etcdctl")])
def test_each_command_is_left_to_the_program_that_has_it(above: str, program: str) -> None:
    for command in commands_of(program, above):
        problem = instead_of([above, command])
        assert problem is not None and problem.advice.startswith(f"{program} {above} {command}")


def test_our_own_views_are_commands() -> None:
    for command in OURS.values():
        words = [word for word in command.split()[1:] if not word.startswith("-")]
        ctx: click.Context = click.Context(main)
        for word in words:
            assert isinstance(ctx.command, click.Group)
            found = ctx.command.get_command(ctx, word)
            assert found is not None
            ctx = click.Context(found, ctx)


def test_the_plural_of_a_group_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(["members", "list"]) == 3
    assert "quorate etcd member list" in capsys.readouterr().err
    assert run_with(["etcd", "members", "list"]) == 3
    assert "Did you mean 'quorate etcd member list'?" in capsys.readouterr().err
