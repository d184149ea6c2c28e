"""What kubeadm prints with -o json and -o yaml, and what quorate prints in its place."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import engine
from kubeadm_cases import MINIMAL, context_of, everything, setup_of
from unit.api_answers import serving

from quorate.phases.node import kubeconfigs

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(100)]


def parsed(form: str, *command: str) -> list[Any]:
    """The documents that a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    if form == "yaml":
        return [one for one in yaml.safe_load_all(done.stdout) if one is not None]
    found, left = list[Any](), done.stdout.strip()
    while left:
        one, end = json.JSONDecoder().raw_decode(left)
        found, left = [*found, one], left[end:].strip()
    return found


def both(form: str, *words: str) -> tuple[list[Any], list[Any]]:
    theirs = parsed(form, engine("kubeadm"), *words, "-o", form)
    return theirs, parsed(form, sys.executable, "-m", "quorate", *words, "-o", form)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_images(form: str) -> None:
    theirs, ours = both(form, "config", "images", "list", "--kubernetes-version", "v1.34.4")
    assert theirs == ours and ours[0]["kind"] == "Images"


def secret(token_id: str, **more: str) -> dict[str, object]:
    data = {"token-id": token_id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", **more}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "data": {name.replace("_", "-"): base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }


FULL = {
    "description": "of a test",
    "expiration": "2099-01-01T00:00:00Z",
    "usage_bootstrap_authentication": "true",
    "auth_extra_groups": "system:bootstrappers:b,system:bootstrappers:a",
}


@pytest.fixture(params=[[], [secret("aaaaaa", **FULL), secret("bbbbbb")]], ids=["none", "some"])
def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an API server that has these tokens."""
    context = context_of(setup_of(MINIMAL + "apiServer: {certSANs: [127.0.0.1]}\n"), tmp_path)
    everything(context)
    rows = {"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": request.param}
    with serving([(200, {"Content-Type": "application/json"})], context, rows) as port:
        path = context.tree.at(kubeconfigs.path_of(context, "admin"))
        told = yaml.safe_load(path.read_text())
        told["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        path.write_text(yaml.safe_dump(told))
        yield str(path)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_tokens(kubeconfig: str, form: str) -> None:
    theirs, ours = both(form, "token", "list", "--kubeconfig", kubeconfig)
    assert theirs == ours


def test_certificates(tmp_path: Path) -> None:
    """Of which most are missing. Seconds go by, and we also say who would sign one that is missing."""
    context = context_of(setup_of(), tmp_path)
    everything(context)
    folder = context.tree.at("/etc/kubernetes/pki")
    (folder / "apiserver.crt").unlink()
    theirs, ours = both("json", "certs", "check-expiration", "--cert-dir", str(folder))
    for kind in ("certificates", "certificateAuthorities"):
        for their, our in zip(theirs[0].pop(kind), ours[0].pop(kind), strict=True):
            assert abs(their.pop("residualTime") - our.pop("residualTime")) < 100
            their.setdefault("caName", our["caName"])
            assert their == our
    assert theirs == ours
