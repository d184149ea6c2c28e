"""What TAB completes, by the protocol of each shell and in real shells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import ROOT
from tabs import INSTALLED, SHELLS, after_tab, ask, complete, prompt

from quorate.cli.common.commands import Context
from quorate.cli.common.shells import _split
from quorate.cli.main import main
from quorate.config.versions import NEWEST, OLDEST, RELEASES, TAGS, parse_version
from quorate.local.state import LocalMember, State, save


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("quorate ", ["etcd", "init", "local", "help"]),
        ("quorate et", ["etcd"]),
        ("FOO=1 BAR= quorate loc", ["local"]),
        ("./quorate -v etcd mem", ["member", "members"]),
        ("quorate help etcd mo", ["move-leader"]),
        ("quorate init --dry", ["--dry-run"]),
        ("quorate etcd remove --endpoints https://127.0.0.1:1 --acc", ["--accept-reduced-tolerance"]),
        ("quorate etcd status -o ", ["table", "json", "yaml"]),
        ("quorate etcd status -o=j", ["json"]),
        ("quorate etcd status --output=j", ["json"]),
        ("quorate etcd member list -w p", ["protobuf"]),
        ("quorate init --kubernetes-version v1.3", ["v1.34.4", "v1.37.2"]),
        ("quorate init phase cer", ["certs"]),
        ("quorate config explain Clus", ["ClusterConfiguration"]),
        ("quorate config explain ClusterConfiguration.netw", ["ClusterConfiguration.networking"]),
        (
            "quorate config explain InitConfiguration.nodeRegistration.taints.",
            ["InitConfiguration.nodeRegistration.taints.effect"],
        ),
        ("quorate config schema Kube", ["KubeletConfiguration", "KubeProxyConfiguration"]),
        ("quorate config schema --api-version kubeadm", ["kubeadm.k8s.io/v1beta4"]),
        ("quorate init phase certs etcd-s", ["etcd-server"]),
        ("quorate init --skip-phases cer", ["certs", "certs/ca"]),
        ("quorate init --skip-phases=certs,addon/c", ["certs,addon/coredns"]),
        ("quorate join lb:6443 --skip-phases etcd", ["etcd-join"]),
        ("quorate reset --skip-phases ", ["preflight", "cleanup-node"]),
        ("quorate init --ignore-preflight-errors Swap,NumC", ["Swap,NumCPU"]),
        ("quorate completion z", ["zsh"]),
    ],
)
def test_words(line: str, some: list[str], shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = complete(line, shell, monkeypatch).words
    assert set(some) <= set(words)
    last = line.rpartition(" ")[2]
    typed = last.partition("=")[2] if "=" in last else last
    assert all(word.startswith(typed) for word in words)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("quorate init --config ./o", "file"),
        ("quorate init --config=./o", "file"),
        ("quorate init --cert-dir ", "dir"),
        ("quorate etcd status --cacert ./w", "file"),
        ("quorate etcd plan --want ", "file"),
        ("quorate etcd add x --start ./s", "file"),
        ("quorate local up --dir ./w", "dir"),
        ("quorate --log-file ", "file"),
        ("quorate config validate ", "file"),
    ],
)
def test_paths_are_left_to_the_shell(line: str, kind: str, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert complete(line, shell, monkeypatch).rows == [(kind, "")]


NO_COMPLETION = {
    *("initial-cluster-token", "initial-cluster", "initial-advertise-peer-urls", "bump-revision"),
    *("apiserver-advertise-address", "apiserver-cert-extra-sans", "apiserver-extra-args", "certificate-key", "client-name"),
    *("from", "name", "peer-url", "which", "cluster", "keep", "cluster-id", "gone", "recipient", "run"),
    *("client-urls", "control-plane-endpoint", "controller-manager-extra-args", "description", "discovery-token"),
    *("discovery-token-ca-cert-hash", "endpoints", "etcd-arg", "feature-gates", "groups", "image", "image-repository"),
    *("listen", "node-name", "org", "peer-urls", "pod-network-cidr", "run-as", "scheduler-extra-args", "service-cidr"),
    *("service-dns-domain", "tls-bootstrap-token", "token", "token-ttl", "ttl", "unit", "user", "validity-period", "why"),
}
"""Addresses, names that are new, secrets and lifetimes: nothing is there to be completed."""


def test_every_option_completes_or_is_known_not_to() -> None:
    """A new option that takes a path completes to one, or somebody has said that it takes none."""
    empty: set[str] = set()

    def look(ctx: click.Context) -> None:
        for param in ctx.command.get_params(ctx):
            if isinstance(param, click.Option) and not (param.is_flag or param.count or param.hidden):
                items = param.shell_complete(ctx, "")
                if not items and param.type.name not in ("integer", "integer range", "duration", "boolean"):
                    empty.add(param.opts[-1].removeprefix("--"))
        for name in ctx.command.list_commands(ctx) if isinstance(ctx.command, click.Group) else ():
            command = ctx.command.get_command(ctx, name)  # type: ignore[attr-defined]
            assert command is not None
            look(Context(command, ctx, name))

    look(Context(main, None, "quorate"))
    assert empty == NO_COMPLETION


def test_a_release_of_each_minor_is_known() -> None:
    assert [parse_version(one).minor for one in RELEASES] == list(range(OLDEST, NEWEST + 1)) == sorted(TAGS)


def make_cluster(root: Path, *names: str) -> None:
    root.mkdir(parents=True)
    rows = tuple(LocalMember(name, 20000 + number, 21000 + number, "etcd", "member") for number, name in enumerate(names))
    save(root / "cluster.json", State("token", 1, 7, rows))


@pytest.mark.parametrize("shell", SHELLS)
def test_members_of_a_local_cluster(shell: str, tmp_path: Path) -> None:
    make_cluster(tmp_path / "try", "m1", "m2", "other")
    for verb in ("kill", "leave", "stop", "start", "pause", "resume", "logs"):
        if verb in ("kill", "logs") or shell == "bash":
            assert ask(f"quorate local {verb} --dir {tmp_path}/try m", shell).words == ["m1", "m2"]
    assert ask("quorate local kill ", shell, QUORATE_LOCAL_DIR=str(tmp_path / "try")).words == ["m1", "m2", "other"]
    assert ask(f"quorate etcd replace --dir {tmp_path}/try o", shell).words == ["other"]
    assert ask("quorate local kill ", shell, QUORATE_LOCAL_DIR=str(tmp_path / "none")).rows == []


@pytest.mark.parametrize("shell", SHELLS)
def test_directories_of_local_clusters(shell: str, tmp_path: Path) -> None:
    ports = tmp_path / "state" / "quorate" / "ports"
    ports.mkdir(parents=True)
    for number, name in enumerate(("first", "$(touch owned)", "with blank")):
        make_cluster(tmp_path / name, "m1")
        (ports / str(20000 + number)).write_text(str(tmp_path / name / "cluster.json"))
    answer = ask(f"quorate local up --dir {tmp_path}/", shell, XDG_STATE_HOME=str(tmp_path / "state"))
    assert answer.rows == [("plain", str(tmp_path / "first")), ("dir", "")]


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1, "members": [{"name": "$(reboot)"}]}'])
def test_a_damaged_cluster_completes_to_nothing(damage: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text(damage)
    assert ask(f"quorate local kill --dir {tmp_path} ").rows == []


@pytest.mark.parametrize("asked", ["bash", "bash_", "tcsh_complete", "_complete", "bash_complete_complete", "\n"])
def test_a_question_of_no_shell_is_answered_with_nothing_to_run(asked: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quorate", "local", "down"],
        env={**os.environ, "_QUORATE_COMPLETE": asked, "COMP_LINE": "quorate \x00"[:-1]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_words_are_completed_without_the_libraries_that_ask_members() -> None:
    """A TAB is to be quick: grpc alone takes 70 ms."""
    code = (
        "import os, sys, json\n"
        "from quorate.cli.main import main\n"
        "from quorate.cli.common.shells import SHELLS\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    os.environ['COMP_LINE'] = line\n"
        "    assert SHELLS['bash'](main, {}, 'quorate', 'X').complete(), line\n"
        "slow = {'grpc', 'cryptography', 'rich', 'http.client', 'google.protobuf'} & set(sys.modules)\n"
        "sys.exit(f'imported: {slow}' if slow else 0)\n"
    )
    lines = ["quorate ", "quorate etcd ", "quorate etcd remove --", "quorate local kill --", "quorate init --skip-phases c"]
    lines += ["quorate join --", "quorate init --kubernetes-version ", "quorate local up --dir ", "quorate etcd status -o "]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(lines)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_at_the_top_no_group_is_imported() -> None:
    code = (
        "import os, sys\n"
        "from quorate.cli.main import main\n"
        "from quorate.cli.common.shells import SHELLS\n"
        "os.environ['COMP_LINE'] = 'quorate '\n"
        "SHELLS['bash'](main, {}, 'quorate', 'X').complete()\n"
        "sys.exit(str([one for one in sys.modules if one.startswith(('quorate.cli.etcd', 'quorate.cli.kubeadm'))] or 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"


@pytest.mark.parametrize(
    ("line", "words", "last"),
    [
        ("quorate ", [], ""),
        ("quorate", [], ""),
        ("", [], ""),
        ("A=1 quorate a b", ["a"], "b"),
        ("quorate 'a b' c", ["a b"], "c"),
        ("quorate 'a b", [], "a b"),
        ('quorate "a \\" b', [], 'a " b'),
        ("quorate a\\ b", [], "a b"),
        ("quorate a\\", [], "a"),
        ("quorate x", [], "x"),
        ("quorate a\nb ", ["a", "b"], ""),
    ],
)
def test_a_line_up_to_the_cursor(line: str, words: list[str], last: str) -> None:
    assert _split(line) == (words, last)


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_real_shell(shell: str, tmp_path: Path) -> None:
    make_cluster(tmp_path / "try", "first", "second")
    (tmp_path / "one.yaml").touch()
    (tmp_path / "two words.crt").touch()
    (tmp_path / "workdir").mkdir()
    with prompt(shell, tmp_path) as shown:
        after_tab(shown, "quorate et", "quorate etcd")
        after_tab(shown, "quorate init --config o", "quorate init --config one.yaml")
        after_tab(shown, "quorate init --config=./o", "quorate init --config=./one.yaml")
        after_tab(shown, "quorate init --cert-dir w", "quorate init --cert-dir workdir/")
        after_tab(shown, "quorate etcd status --cacert tw", "quorate etcd status --cacert two\\ words.crt")
        after_tab(shown, "quorate init --skip-phases=certs,addon/c", "quorate init --skip-phases=certs,addon/coredns")
        after_tab(shown, "quorate local kill --dir ./try f", "quorate local kill --dir ./try first")
        after_tab(
            shown,
            "quorate etcd remove --endpoints http://127.0.0.1:1 --acc",
            "quorate etcd remove --endpoints http://127.0.0.1:1 --accept-reduced-tolerance",
        )
