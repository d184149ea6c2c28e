"""Holds what was printed with -o json against the schema of its kind, wherever a test prints such a document."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FILE = Path(__file__).parent / "contract" / "schemas" / "quorate-v1.json"
_OURS = ("quorate/v1", "output.kubeadm.k8s.io/v1alpha3")


@cache
def definitions() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())["$defs"]
    return found


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions()})


def check(document: object) -> str:
    """Returns the name of the definition that the document follows; fails where it follows none, or is no document of ours."""
    assert isinstance(document, dict), document
    name = f"event-{document['event']}" if "event" in document else document.get("kind")
    assert name in definitions(), f"no schema describes {name!r}"
    problems = [
        f"{'/'.join(map(str, one.absolute_path))}: {one.message[:300]}" for one in _validator(name).iter_errors(document)
    ]
    assert not problems, f"{name}: {problems}"
    return str(name)


def documents(printed: str) -> list[dict[str, Any]]:
    """The documents or events of ours on a stdout; none in text, or in formats of others."""
    try:
        whole = json.loads(printed)
        found = [whole] if isinstance(whole, dict) else []
    except ValueError:
        found = [json.loads(line) for line in printed.splitlines() if line.startswith('{"')]
    return [one for one in found if one.get("apiVersion") in _OURS or "event" in one]


def checked(printed: str) -> list[str]:
    """The names of the definitions that what was printed follows."""
    return [check(one) for one in documents(printed)]
