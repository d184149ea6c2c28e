"""`quorate config explain` and `quorate config schema`: what a file can hold, for people and for editors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from quorate.cli.common import commands
from quorate.cli.common.completion import matching, one_of
from quorate.cli.common.exit_codes import PRINTS
from quorate.cli.common.output import document, echo, emit, output_option, print_table
from quorate.cli.kubeadm.completers import COMPLETERS
from quorate.config.types import V1BETA3, V1BETA4
from quorate.errors import ConfigError
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.cli.common.completion import Items
    from quorate.config.explain import Explained
    from quorate.config.shapes import Shape


def _parts(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Completes a kind, then its fields, part by part."""
    from quorate.config.explain import fields_below, known_kind
    from quorate.config.shapes import kinds, shape_of

    kind, dot, path = incomplete.partition(".")
    if not dot:
        return matching(dict.fromkeys(kinds(), ""), incomplete)
    try:
        kind = known_kind(kind)
        shape = shape_of(kind, ctx.params.get("api") or "", _minor(ctx.params.get("kubernetes")))
        *above, _ = path.split(".")
        for part in above:
            shape = fields_below(shape)[part]
    except (ConfigError, KeyError):
        return []
    before = ".".join([incomplete.partition(".")[0], *above])
    return matching({f"{before}.{name}": one.about for name, one in fields_below(shape).items()}, incomplete)


def _kinds(_ctx: click.Context) -> tuple[str, ...]:
    from quorate.config.shapes import kinds

    return kinds()


def _versions(_ctx: click.Context) -> list[str]:
    from quorate.config.shapes import kinds, versions_of

    return sorted({version for kind in kinds() for version in versions_of(kind)})


_VERSION = click.option(
    "--kubernetes-version",
    "kubernetes",
    metavar="VERSION",
    shell_complete=COMPLETERS["kubernetes-version"],
    help="Version whose fields are meant.  [default: v1.34.4]",
)
_API = click.option(
    "--api-version",
    "api",
    metavar="[GROUP/]VERSION",
    default="",
    shell_complete=one_of(_versions),
    help="API version of KIND, such as v1beta3.  [default: the newest]",
)


@commands.command("explain", ends=PRINTS)
@click.argument("part", metavar="[KIND[.PATH]]", required=False, shell_complete=_parts)
@_API
@_VERSION
@click.option("-r", "--recursive", "is_deep", is_flag=True, help="Print all fields below, without their meaning.")
@output_option("text", "json", "yaml")
def explain_command(part: str | None, api: str, kubernetes: str | None, form: str, is_deep: bool) -> None:
    """Say what a kind, or a field of it, means. Shows types, defaults, values and versions; without KIND, lists the kinds.

    \b
    Examples:
      quorate config explain ClusterConfiguration.networking
      quorate config explain KubeletConfiguration --recursive
      quorate config explain InitConfiguration.nodeRegistration -o json
    """
    from quorate.config.explain import explain

    if part is None:
        _list_kinds(form)
        return
    found = explain(part, api, _minor(kubernetes))
    shown = _show_all if is_deep else _show
    emit(form, "FieldExplanation", found.as_dict(), lambda: shown(found))


@commands.command("schema", ends=PRINTS)
@click.argument("kind", metavar="[KIND]", required=False, shell_complete=one_of(_kinds))
@_API
@_VERSION
def schema_command(kind: str | None, api: str, kubernetes: str | None) -> None:
    """Print the JSON Schema of KIND, or of all, for editors.

    \b
    Examples:
      quorate config schema > kubeadm.schema.json
      quorate config schema JoinConfiguration --api-version kubeadm.k8s.io/v1beta3

    An editor that knows YAML schemas reads the first line of a file: # yaml-language-server: $schema=kubeadm.schema.json
    """
    from quorate.config.explain import known_kind
    from quorate.config.json_schema import schema_of, schema_of_all
    from quorate.config.shapes import full_version

    minor = _minor(kubernetes)
    if kind is None and api:
        raise ConfigError("--api-version needs a KIND", advice="name the kind, or leave out --api-version")
    if kind is None:
        made = schema_of_all(minor)
    else:
        kind = known_kind(kind)
        made = schema_of(kind, full_version(kind, api), minor)
    document(json.dumps(made, indent=2, ensure_ascii=False) + "\n")


def _minor(version: str | None) -> int:
    from quorate.config.versions import DEFAULT, NEWEST, OLDEST, parse_version

    text = version or DEFAULT
    # Fields are those of a minor: 1.34 says all that is asked.
    minor = parse_version(f"{text}.0" if text.count(".") == 1 else text).minor
    if not OLDEST <= minor <= NEWEST:
        raise ConfigError(f"the fields of Kubernetes 1.{minor} are not known", advice=f"use 1.{OLDEST} to 1.{NEWEST}")
    return minor


def _list_kinds(form: str) -> None:
    from quorate.config.descriptions import describe_kind
    from quorate.config.shapes import kinds, versions_of

    rows = [(kind, ", ".join(versions_of(kind)), describe_kind(kind)) for kind in kinds()]
    listed = [{"kind": kind, "versions": list(versions_of(kind)), "description": describe_kind(kind)} for kind in kinds()]
    emit(form, "ConfigurationKindList", {"kinds": listed}, lambda: print_table(("KIND", "VERSIONS", "MEANING"), rows))


def _show(found: Explained) -> None:
    for title, text in (
        ("KIND", found.kind),
        ("VERSION", found.version),
        ("FIELD", found.path),
        ("TYPE", found.shape.shown_type),
    ):
        if text:
            echo(f"{title:<9}{text}")
    for line in (found.shape.about, *_facts(found, found.shape)):
        if line:
            echo("")
            echo(line)
    if found.rows:
        echo("")
        print_table(
            ("FIELD", "TYPE", "MEANING"), [(name, one.shown_type, _meaning(found, one)) for name, one in found.rows.items()]
        )
        name = f"{found.kind}{f'.{found.path}' if found.path else ''}"
        echo("")
        echo(f"More on a field: quorate config explain {to_paste(name)}.FIELD")


def _meaning(found: Explained, shape: Shape) -> str:
    return " ".join([shape.about, *_facts(found, shape)])


def _facts(found: Explained, shape: Shape) -> list[str]:
    """Returns what there is to say of a field apart from its meaning. A component has defaults of its own, which its texts
    name; init writes another value of some fields."""
    facts = [f"One of {', '.join(shape.choices)}."] if shape.choices else []
    if shape.default is not None and shape.type != "object":
        label = "Default" if found.version in (V1BETA3, V1BETA4) else "init writes"
        value = json.dumps(shape.default) if isinstance(shape.default, bool | list | dict) else shape.default
        facts.append(f"{label}: {value}.")
    when = [f"{word} 1.{minor}" for word, minor in (("since", shape.since), ("until", shape.until)) if minor]
    if when:
        facts.append(f"In Kubernetes {' '.join(when)}.")
    return facts


def _show_all(found: Explained) -> None:
    echo(f"{found.kind}{f'.{found.path}' if found.path else ''} <{found.shape.shown_type}>")
    _show_below(found.rows, 1)


def _show_below(rows: dict[str, Shape], depth: int) -> None:
    from quorate.config.explain import fields_below

    for name, shape in rows.items():
        echo(f"{'  ' * depth}{name} <{shape.shown_type}>")
        _show_below(fields_below(shape), depth + 1)
