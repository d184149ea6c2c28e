"""The schema of every kind that is printed with -o json. That documents follow it is held wherever tests print one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import schemas
import yaml
from conftest import ROOT, RunCli
from jsonschema import Draft202012Validator

SOURCES = (ROOT / "src" / "quorate" / "cli").rglob("*.py")
KIND = re.compile(r'(?:\bemit\(\s*(?:form|given\.text\("form"\)(?: or "table")?|"json"),\s*|enveloped\(|_Done\()"([A-Z]\w+)"')
EVENT = re.compile(r'"event": "(\w+)"')
MINIMAL = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"


def test_every_kind_and_event_of_the_source_has_a_schema_and_none_is_left_over() -> None:
    printed: set[str] = set()
    for path in SOURCES:
        text = path.read_text()
        printed |= {*KIND.findall(text), *(f"event-{one}" for one in EVENT.findall(text))}
    described = {name for name in schemas.definitions() if name[0].isupper() or name.startswith("event-")}
    assert printed == described


def test_the_schemas_are_schemas() -> None:
    whole = json.loads(schemas.FILE.read_text())
    Draft202012Validator.check_schema(whole)
    listed = [one["$ref"].rpartition("/")[2] for one in whole["oneOf"]]
    described = {name for name in schemas.definitions() if name[0].isupper() or name.startswith("event-")}
    assert set(listed) == described and len(listed) == len(described), "a program validates with the whole file"


@pytest.mark.parametrize(
    "wrong",
    [
        {"apiVersion": "quorate/v1", "kind": "LeaveResult"},
        {"apiVersion": "quorate/v1", "kind": "LeaveResult", "left": "m1", "more": 1},
        {"apiVersion": "quorate/v1", "kind": "NoKind"},
        {"event": "phase", "phase": "certs", "seconds": "1", "failed": False},
    ],
)
def test_a_document_that_does_not_follow_is_found(wrong: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        schemas.check(wrong)


def test_a_command_that_fails_prints_an_error_as_its_document(cli: RunCli, tmp_path: Path) -> None:
    done = cli("local", "status", "--dir", str(tmp_path), "-o", "json")
    assert schemas.checked(done.stdout) == ["Error"]
    assert json.loads(done.stdout)["error"]["exitCode"] == done.returncode
    assert json.loads(done.stderr.splitlines()[-1]) == json.loads(done.stdout), "one shape on both streams"


def test_a_run_that_fails_ends_with_an_error_event(cli: RunCli, tmp_path: Path) -> None:
    """Its first phase says something before it fails."""
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    done = cli("init", "--config", str(path), "--rootfs", str(tmp_path / "root"), "--skip-phases=none-such", "-o", "json")
    assert done.returncode == 3 and schemas.checked(done.stdout)[-1] in ("Error", "event-error")


def test_formats_of_others_get_nothing_added(cli: RunCli) -> None:
    done = cli("etcd", "member", "list", "-w", "json", "--endpoints=127.0.0.1:1", "--dial-timeout=1s")
    assert done.returncode != 0 and done.stdout == ""


@pytest.mark.parametrize(("words", "kind"), [("config images list", "Images"), ("config validate", "ValidationResult")])
def test_what_needs_no_cluster(words: str, kind: str, cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    assert schemas.checked(cli(*words.split(), "--config", str(path), "-o", "json").stdout) == [kind]


@pytest.mark.parametrize(
    ("content", "path", "line"),
    [(MINIMAL.replace("v1.34.4", "banana"), "kubernetesVersion", 3), ("a: [1\n", "", 0), (MINIMAL + "x: 1\n", "x", 4)],
)
def test_an_invalid_file_is_a_result(content: str, path: str, line: int, cli: RunCli, tmp_path: Path) -> None:
    """A script asked for .valid, and got null of an error."""
    file = tmp_path / "c.yaml"
    file.write_text(content)
    done = cli("config", "validate", str(file), "-o", "json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["kind"], result["valid"]) == (3, "ValidationResult", False)
    assert [(one["path"], one["line"]) for one in result["problems"]] == [(path, line)]
    assert schemas.check(json.loads(done.stderr.splitlines()[-1])) == "Error"
    missing = cli("config", "validate", str(tmp_path / "none.yaml"), "-o", "json")
    assert (missing.returncode, json.loads(missing.stdout)["kind"]) == (3, "Error"), (
        "it says nothing of a file that is not there"
    )


def printed(cli_words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "quorate", *cli_words], text=True, check=False, **more)


@pytest.mark.parametrize(
    "words",
    [["etcd", "add"], ["etcd", "nonsense"], ["etcd", "status", "--timeout"], ["lcoal"], ["join", "phase", "nonsense"]],
    ids=" ".join,
)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_wrong_command_line_is_a_document_too(words: list[str], form: str) -> None:
    done = printed([*words, "-o", form], capture_output=True)
    document = json.loads(done.stdout) if form == "json" else yaml.safe_load(done.stdout)
    assert schemas.check(document) == "Error" and (done.returncode, document["error"]["code"]) == (3, "usage")
    assert form != "json" or done.stdout.count("\n") == 1, "for readers of lines"


def test_a_question_that_nobody_answers_ends_the_events(tmp_path: Path) -> None:
    done = printed(
        ["reset", "--rootfs", str(tmp_path), "-o", "json", "--ignore-preflight-errors=all"], capture_output=True, input=""
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert schemas.check(last) == "event-error" and last["error"]["exitCode"] == done.returncode


def test_the_first_thing_that_fails_in_a_run_is_an_event() -> None:
    done = printed(["init", "--config", "/nonexistent", "-o", "json"], capture_output=True)
    assert [schemas.check(json.loads(line)) for line in done.stdout.splitlines()] == ["event-error"]


@pytest.mark.parametrize(("words", "code"), [(["etcd", "members", "--endpoints=127.0.0.1:1"], 1), (["etcd", "add"], 3)])
def test_a_stdout_that_takes_no_write_changes_no_exit_code(words: list[str], code: int) -> None:
    """Each failure became exit code 1 with a traceback."""
    with Path("/dev/full").open("w") as full:
        done = printed([*words, "-o", "json"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == code and "Traceback" not in done.stderr
    assert json.loads(done.stderr)["error"]["exitCode"] == code
