"""The schema of every kind that is printed with -o json. That documents follow it is held wherever tests print one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import schemas
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
    Draft202012Validator.check_schema(json.loads(schemas.FILE.read_text()))


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


def test_a_run_that_fails_ends_with_an_error_event(cli: RunCli, tmp_path: Path) -> None:
    """Its first phase says something before it fails."""
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    done = cli("init", "--config", str(path), "--rootfs", str(tmp_path / "root"), "--skip-phases=none-such", "-o", "json")
    assert done.returncode == 3 and schemas.checked(done.stdout)[-1] in ("Error", "event-error")


def test_formats_of_others_get_nothing_added(cli: RunCli) -> None:
    done = cli("etcd", "member", "list", "-w", "json", "--endpoints=127.0.0.1:1", "--dial-timeout=1s")
    assert done.returncode != 0 and done.stdout == ""


@pytest.mark.parametrize(("words", "kind"), [("config images list", "ImageList"), ("config validate", "ValidationResult")])
def test_what_needs_no_cluster(words: str, kind: str, cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    assert schemas.checked(cli(*words.split(), "--config", str(path), "-o", "json").stdout) == [kind]
