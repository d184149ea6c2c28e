"""`token … --dry-run` judges what the real run judges, changes nothing, and shows no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kubeadm_cases import MINIMAL, context_of, everything, setup_of

from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.main import run_with
from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs
from unit.api_answers import Answer, serving

TOKEN = "abcdef.0123456789abcdef"
KEY = "ab" * 32
MISSING: Answer = (404, {})


@pytest.fixture
def node(tmp_path: Path) -> Context:
    sans = "apiServer: {certSANs: [127.0.0.1]}\n"
    context = context_of(setup_of(MINIMAL + sans), tmp_path)
    everything(context)
    return context


def run(node: Context, port: int, *words: str) -> int:
    """Runs `token` with the node's admin.conf, for an API server at `port`."""
    path = node.tree.at(kubeconfigs.path_of(node, "admin"))
    path.write_text(re.sub(r"server: .*", f"server: https://127.0.0.1:{port}", path.read_text()))
    return run_with(["token", *words, "--dry-run", "--kubeconfig", str(path)])


def test_a_planned_token_is_named_and_not_shown(node: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """The server here knows GET only: what changes anything fails."""
    with serving([MISSING], node) as port:
        assert run(node, port, "create", TOKEN) == 0
    said = capsys.readouterr()
    assert said.out == "" and "[dryrun] would create the token abcdef" in said.err
    assert said.err.splitlines()[-1] == NOTHING_DONE and TOKEN.partition(".")[2] not in said.err


def test_a_planned_join_command_is_masked(node: Context, capsys: pytest.CaptureFixture[str]) -> None:
    with serving([MISSING], node) as port:
        assert run(node, port, "create", TOKEN, "--print-join-command", "--certificate-key", KEY) == 0
    said = capsys.readouterr()
    assert said.out.startswith("quorate join 127.0.0.1:") and "abcdef.****" in said.out and "--control-plane" in said.out
    assert TOKEN.partition(".")[2] not in said.out + said.err and KEY not in said.out + said.err
    assert said.err.splitlines()[-1] == NOTHING_DONE


def test_what_the_real_run_would_refuse_is_refused(node: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving([(200, {})], node) as port:
        assert run(node, port, "create", TOKEN) == 1
    said = capsys.readouterr()
    assert "already exists" in said.err and TOKEN not in said.err and NOTHING_DONE not in said.err
    for command in ("create", "delete"):
        missing = ["token", command, TOKEN, "--dry-run", "--kubeconfig", str(tmp_path / "none.conf")]
        assert run_with(missing) == 2
        assert "none.conf is missing" in capsys.readouterr().err
        with serving([(403, {})], node) as port:
            assert run(node, port, command, TOKEN) == 1
        assert NOTHING_DONE not in capsys.readouterr().err


@pytest.mark.parametrize(("status", "said"), [(200, "would delete the token abcdef"), (404, "there is no token abcdef")])
def test_a_planned_deletion_deletes_nothing(node: Context, status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving([(status, {})], node) as port:
        assert run(node, port, "delete", "abcdef") == 0
    told = capsys.readouterr()
    assert told.out == "" and said in told.err and told.err.splitlines()[-1] == NOTHING_DONE
