"""Commands that an error advises for the node at hand name that node: run as printed, they must not work on another."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from reference_pages import classes
from unit.views import answer, member, view

from quorate.cli.common.commands import Group
from quorate.cli.main import main, run_with
from quorate.core.actions import Refuse
from quorate.core.decide_undo import UndoGoal, decide_undo
from quorate.core.join_memory import JoinMemory
from quorate.errors import QuorateError, Refused
from quorate.etcd.membership.first_step import refuse_leader
from quorate.foreign.text import OUR_FLAGS
from quorate.phases.base.this_node import HERE, TAKES, ThisNode

SRC = Path(__file__).resolve().parents[2] / "src" / "quorate"
OF_A_NODE = re.compile(r"\bquorate (init|certs|kubeconfig|token|reset|doctor)\b")
ELSEWHERE = {
    "phases/join/discovery.py": "for a control-plane node: this one is only about to join",
    "phases/join/download_certs.py": "for a control-plane node",
    "phases/join/checks.py": "for a control-plane node",
    "pki/sealing.py": "for a control-plane node",
    "cli/kubeadm/join.py": "for a control-plane node",
    "config/validate.py": "for a control-plane node",
}
REFUSING = ("Refused", "PreflightFailed")
ALL = ThisNode("/srv/node 2", "my c.yaml", "/srv/pki", "/srv/conf")


def texts(source: str) -> Iterator[str]:
    """Every text of the module but docstrings; of one that is formatted, the parts that are written out."""
    tree = ast.parse(source)
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def written_out(path: Path) -> list[str]:
    # Examples in help texts are no advice: they stand below a line of their own.
    return [text for text in texts(path.read_text()) if OF_A_NODE.search(text) and "Example:\n" not in text]


def test_no_text_writes_out_a_command_for_the_node_at_hand() -> None:
    found = {str(path.relative_to(SRC)): shown for path in SRC.rglob("*.py") if (shown := written_out(path))}
    assert {name: shown for name, shown in found.items() if name not in ELSEWHERE} == {}
    assert set(ELSEWHERE) <= set(found), "an exception that is none any more"
    assert [text for shown in found.values() for text in shown if "control-plane node" not in text and "--" not in text] == []


def test_the_guard_finds_a_planted_text() -> None:
    assert [
        one for one in texts('def f():\n    """quorate reset"""\n    return f"run quorate reset {x}"') if OF_A_NODE.search(one)
    ]
    assert not [one for one in texts('def f():\n    """quorate reset"""') if OF_A_NODE.search(one)]


@pytest.mark.parametrize("head", TAKES, ids=" ".join)
def test_a_command_takes_the_options_that_it_is_advised_with(head: tuple[str, ...]) -> None:
    command: click.Command = main
    for word in head:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    below = [command]
    # A group that only hands options down is no command; `etcd` has its own, and `reset` is one.
    while isinstance(group := below[0], Group) and head != ("etcd",) and "rootfs" in group.hands_down:
        ctx = click.Context(group)
        below = [one for name in group.list_commands(ctx) if (one := group.get_command(ctx, name))]
    for one in below:
        options = {flag for param in one.params for flag in param.opts}
        assert {f"--{flag}" for flag in TAKES[head]} <= options, one.name


def test_the_options_are_repeated_and_quoted() -> None:
    words = shlex.split(ALL.command("init", "phase", "certs", "ca"))
    assert words[5:] == ["--rootfs", "/srv/node 2", "--config", "my c.yaml", "--cert-dir", "/srv/pki"]
    assert shlex.split(ALL.command("reset"))[2:] == ["--rootfs", "/srv/node 2", "--cert-dir", "/srv/pki"]
    assert shlex.split(ALL.command("certs", "renew", "all", "--cert-dir", "/x")).count("--cert-dir") == 1
    assert HERE.command("init", "phase", "certs", "ca") == "quorate init phase certs ca"


@pytest.mark.parametrize(
    ("words", "advised"),
    [
        ("init phase certs apiserver --config C", "init phase certs ca --rootfs R --config C"),
        ("init phase certs etcd-server --config C", "init phase certs etcd-ca --rootfs R --config C"),
        ("init phase kubeconfig admin --config C", "init phase certs ca --rootfs R --config C"),
        ("kubeconfig user --client-name a --config C", "init phase certs ca --rootfs R --config C"),
        ("token list", "init phase kubeconfig admin --rootfs R"),
        ("init phase upload-certs --upload-certs --config C", "init phase kubeconfig admin --rootfs R --config C"),
        ("certs renew apiserver --config C", "certs check-expiration --rootfs R --config C"),
    ],
)
def test_what_is_advised_works_on_the_node_that_was_meant(
    words: str, advised: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root, what was printed wrote a CA into the /etc/kubernetes of the host."""
    root, config = tmp_path / "n 2", tmp_path / "my3.yaml"
    root.mkdir()
    config.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.77.0.11}\n"
        "nodeRegistration: {name: cp1}\n---\n"
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
    )
    given = {"C": str(config), "R": str(root)}
    if "init phase kubeconfig admin" in advised:
        # Without its CA's key it is no control plane, and is not told to make one.
        (root / "etc/kubernetes/pki").mkdir(parents=True)
        (root / "etc/kubernetes/pki/ca.key").write_bytes(b"x")
    assert run_with([*(given.get(word, word) for word in words.split()), "--rootfs", str(root)]) != 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.lstrip().startswith("next:")]
    command = line.partition("quorate ")[2].partition("    #")[0]
    assert shlex.split(command) == [given.get(word, word) for word in advised.split()]


def test_what_is_refused_has_advice_of_its_own() -> None:
    """What helps in general is of no use to somebody who is refused: the refusal knows what would have to change."""
    raised = [
        (path.name, node.lineno, node.exc)
        for path in sorted(SRC.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func) in REFUSING
    ]
    assert len(raised) > 50
    assert [(name, line) for name, line, call in raised if "advice" not in {one.arg for one in call.keywords}] == []


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_advice(kind: type[QuorateError]) -> None:
    """The library promises it; `own_advice` is what a failure has to say itself."""
    plain, own = QuorateError.__new__(kind), "this"
    plain.own_advice = ""
    assert plain.advice == kind.in_general()
    plain.advice = own
    assert (plain.advice, plain.own_advice) == (own, own)


@pytest.mark.parametrize(
    ("number", "advised"),
    [(2, "start its etcd, then run the same command again"), (9, "promote it first: quorate etcd promote m9")],
)
def test_a_leader_that_cannot_be_is_refused_with_what_to_do(number: int, advised: str) -> None:
    looked = view(3, member(9, learner=True), answers={1: answer(1), 3: answer(3), 9: answer(9, learner=True)})
    found = looked.by_id(number)
    assert found is not None
    with pytest.raises(Refused) as ended:
        refuse_leader(looked, found)
    assert ended.value.advice == f"{advised}; or name a voter that answers: m1, m3"


OF_A_CLUSTER = re.compile(r"\bquorate etcd [a-z]")
EXPLAINED = {
    "cli/etcd/host_options.py": "what another command does",
    "local/rows.py": "after the variables of that cluster",
}
SHOWN = ("Notice", "Kept", "NotUndone", "Refuse", "Wait", "echo", "say")


def written_into_states(source: str) -> Iterator[str]:
    """The texts of states, notices and outcomes, and those that name a member, in which a command about a cluster is written
    out: the flags that say which cluster are missing there. What an error advises gets them at the end."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            shown: list[ast.expr] = [node]
            ends = [part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            if not any(re.search(r"\bquorate etcd [a-z ]+ $", text) for text in ends):
                continue
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            shown = [word.value for word in node.keywords if word.arg == "state"] + (list(node.args) if name in SHOWN else [])
        else:
            continue
        for part in shown:
            for text in ast.walk(part):
                if isinstance(text, ast.Constant) and isinstance(text.value, str) and OF_A_CLUSTER.search(text.value):
                    yield text.value


def test_no_state_notice_or_outcome_writes_out_a_command_about_a_cluster() -> None:
    """`'quorate etcd remove a825…' removes it`: pasted, it was about another cluster's member."""
    found = {
        str(path.relative_to(SRC)): shown for path in SRC.rglob("*.py") if (shown := [*written_into_states(path.read_text())])
    }
    assert {name: shown for name, shown in found.items() if name not in EXPLAINED} == {}
    assert set(EXPLAINED) <= set(found), "an exception that is none any more"


@pytest.mark.parametrize(
    "planted",
    [
        'raise Refused("no", state="see quorate etcd status")',
        'report(Notice(f"{what}: see quorate etcd status"))',
        'Refuse(why, "quorate etcd members shows them")',
        "left = f\"remove it with 'quorate etcd remove {one:x}'\"",
    ],
)
def test_the_guard_of_states_finds_a_planted_text(planted: str) -> None:
    assert [*written_into_states(planted)] != []
    assert [*written_into_states('raise Refused("no", advice="quorate etcd status shows them")')] == []


def test_the_outcome_of_a_join_names_the_cluster() -> None:
    before = OUR_FLAGS.set(("--endpoints=a:1",))
    try:
        goal = UndoGoal(
            "m9", ("https://10.0.0.9:2380",), JoinMemory(), running=False, has_data=False, has_leftovers=False, data_member=0
        )
        refusal = decide_undo(view(1, member(9, learner=True)), goal)
    finally:
        OUR_FLAGS.reset(before)
    assert isinstance(refusal, Refuse) and refusal.advice == "quorate etcd --endpoints=a:1 remove 9 removes it"
