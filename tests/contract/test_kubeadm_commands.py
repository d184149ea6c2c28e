"""Every command and flag of kubeadm 1.29 to 1.37 is here, or stands in docs/compat.md with the reason."""

from __future__ import annotations

import json
import re
from functools import lru_cache

import click
import pytest
from conftest import ROOT

from quorate.cli.main import main

GOLDEN = ROOT / "tests" / "golden" / "print"
VERSIONS = ("v1.29.6", "v1.31.0", "v1.34.4", "v1.37.2")
LOGGING = {"add-dir-header", "log-file", "log-file-max-size", "one-output", "skip-headers", "skip-log-headers"}
"""Of kubeadm's logging library; older releases have them on every command."""


def golden(version: str) -> dict[str, set[str]]:
    """Flags by command; those of the root are left out, for a build with the other components adds theirs there."""
    data = json.loads((GOLDEN / version / "flags.json").read_text())
    everywhere = {flag["name"] for flag in data["(root)"]["flags"]}
    return {
        command: {flag["name"] for flag in one["flags"]} - everywhere - LOGGING
        for command, one in data.items()
        if command != "(root)"
    }


@lru_cache
def ours() -> dict[str, set[str]]:
    """Our commands by their names, each with the long spellings of its flags."""
    found: dict[str, set[str]] = {}

    def walk(command: click.Command, path: str) -> None:
        if path:
            spellings = [spelling for one in command.params for spelling in one.opts if spelling.startswith("--")]
            found[path] = {spelling.removeprefix("--") for spelling in spellings}
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(child, f"{path} {name}".strip())

    walk(main, "")
    return found


def excused() -> set[str]:
    """Rows of docs/compat.md whose first cell is a command, or a command with a flag: `upgrade *`, `token list --output`."""
    text = (ROOT / "docs" / "compat.md").read_text()
    section = text.partition("## Commands and flags that are not here")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))


def is_excused(what: str) -> bool:
    return any(what == one or (one.endswith("*") and what.startswith(one[:-1].strip())) for one in excused())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_command_is_here_or_excused(version: str) -> None:
    missing = [command for command in golden(version) if command not in ours() and not is_excused(command)]
    assert missing == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_flag_is_here_or_excused(version: str) -> None:
    missing = [
        f"{command} --{flag}"
        for command, flags in golden(version).items()
        if command in ours()
        for flag in sorted(flags - ours()[command])
        if not is_excused(f"{command} --{flag}") and not is_excused(f"* --{flag}")
    ]
    assert missing == []


def test_what_is_excused_is_really_missing() -> None:
    there = {f"{command} --{flag}" for command, flags in ours().items() for flag in flags} | set(ours())
    assert [one for one in excused() if one in there] == []


def test_defaults_are_kubeadms() -> None:
    """What the help says: the configuration fills it in, and the oracle compares that."""
    data = json.loads((GOLDEN / "v1.34.4" / "flags.json").read_text())
    from quorate.cli.kubeadm.flags import FLAGS

    said = {flag["name"]: flag.get("default", "") for one in data.values() for flag in one["flags"] if flag["name"] in FLAGS}
    differs = {name: (FLAGS[name].default, said[name]) for name in said if said[name].strip("[]") != FLAGS[name].default}
    # These depend on the host: the help says where the value comes from.
    assert set(differs) <= {
        "allow-missing-template-keys",
        "apiserver-advertise-address",
        "cri-socket",
        "kubernetes-version",
        "new-config",
        "node-name",
        "cert-dir",
    }
