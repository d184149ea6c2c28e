"""`quorate config`: prints, checks and converts configurations; lists and pulls images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from quorate.cli.common import commands
from quorate.cli.common.completion import files
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import KUBEADM_VERSION, document, echo, emit, output_option
from quorate.cli.kubeadm import render, setup
from quorate.cli.kubeadm.flags import ROOTFS, Given, with_flags
from quorate.config.load import is_metadata, load, loads, noting
from quorate.errors import ConfigError, UsageProblem
from quorate.foreign.text import visible
from quorate.report import Notice

_COMPONENTS = ("KubeletConfiguration", "KubeProxyConfiguration")


_LATER = {
    "explain": ("quorate.cli.kubeadm.explain", "explain_command", "Say what a kind, or a field of it, means."),
    "schema": ("quorate.cli.kubeadm.explain", "schema_command", "Print the JSON Schema of KIND, or of all, for editors."),
}
_SHORT = "Print, check, explain and convert kubeadm configuration files; list images."

_HANDED_DOWN = ROOTFS | {"kubeconfig"}
"""--kubeconfig is accepted anywhere, as in kubeadm, and used by none of these commands."""


def _once_in_kubeadm(_ctx: click.Context, words: Sequence[str]) -> UsageProblem | None:
    from quorate.cli.common.foreign_commands import once_in_kubeadm

    return once_in_kubeadm(["config", *words])


@commands.group("config", ends=READS, short_help=_SHORT, later=_LATER, hands_down=_HANDED_DOWN, foreign=_once_in_kubeadm)
@with_flags(("kubeconfig",))
def group(**_parameters: Any) -> None:
    """Print, check, explain and convert kubeadm configuration files.

    \b
    Examples:
      quorate config print init-defaults
      quorate config validate kubeadm-config.yaml
      quorate config migrate --old-config old.yaml --new-config new.yaml
    """


def _need(given: Given, flag: str) -> Path:
    if not given.text(flag):
        raise ConfigError(f"--{flag} is needed", advice=f"pass --{flag} FILE")
    return Path(given.text(flag))


@group.command()
@click.argument("file", metavar="[FILE]", required=False, shell_complete=files)
@with_flags(("config", "kubeconfig", "allow-experimental-api", "allow-deprecated-api"))
@output_option("text", "json")
def validate(file: str | None, **parameters: Any) -> None:
    """Check FILE; - reads standard input. Prints every problem with its line and path, and then exits with code 3.

    With -o json, 'valid' says how it ended and 'problems' lists what is wrong; a file that cannot be read is an error.

    \b
    Examples:
      quorate config validate kubeadm-config.yaml
      envsubst < kubeadm.yaml.in | quorate config validate -
    """
    from quorate.cli.kubeadm.skipped import doubts_of
    from quorate.config.resolve import resolve_any
    from quorate.foreign.documents import MOST_BYTES
    from quorate.foreign.local_files import read_at_most, shown

    given, report = Given.of(parameters), render.to_stderr()
    path = _file_to_check(file, given.text("config"))
    content = read_at_most(path, MOST_BYTES)
    with _invalid_shown(given.text("form")):
        loaded = loads(content, shown(path))
    facts = setup.facts_for(loaded, setup.root_of(given), report, setup.usual_runtime)
    with _invalid_shown(given.text("form")):
        notes = resolve_any(loaded, facts, doubts_of(loaded))
    for note in notes:
        report(Notice(note, "warning"))
    emit(given.text("form"), "ValidationResult", {"valid": True, "notes": notes, "problems": []}, lambda: echo("ok"))


@contextmanager
def _invalid_shown(form: str) -> Iterator[None]:
    """Prints for a program that what the block reads is invalid: it looks at `valid`. The error goes on to stderr and to the
    exit code."""
    from quorate.config.problems import Problem, rows_of

    try:
        yield
    except ConfigError as error:
        rows = error.as_dict().get("problems") or rows_of([Problem("", error.what)])
        if form == "json":
            emit(form, "ValidationResult", {"valid": False, "notes": [], "problems": rows}, lambda: None)
        raise


def _file_to_check(argument: str | None, flag: str) -> Path:
    if argument and flag:
        raise UsageProblem("the file is given twice: as FILE, and with --config", advice="leave out one of them")
    if not argument and not flag:
        raise UsageProblem("a file to check is needed", advice="quorate config validate FILE; - reads standard input")
    return Path(argument or flag)


@group.command()
@with_flags(("kubeconfig", "old-config", "new-config", "allow-experimental-api"))
def migrate(**parameters: Any) -> None:
    """Convert a file to the newest version of the API and fill in defaults.

    \b
    Example:
      quorate config migrate --old-config v1beta3.yaml --new-config v1beta4.yaml
    """
    from quorate.cli.common.named_files import content_of, write_named
    from quorate.config.printing import left_out, migrated

    given, report = Given.of(parameters), render.to_stderr()
    target = Path(given.text("new-config"))
    # Before the old file is read, which may be the same: an edit that comes in between is not written over.
    before = content_of(target) if given.text("new-config") else None
    read = load(_need(given, "old-config"))
    loaded = noting(read, is_metadata)
    text = migrated(loaded, setup.facts_for(loaded, setup.root_of(given), report, setup.usual_runtime))
    for note in (*left_out(loaded), *loaded.notes[len(read.notes) :]):
        report(Notice(note, "warning"))
    if given.text("new-config"):
        # The file may contain bootstrap tokens and a certificate key.
        write_named(target, text.encode(), mode=0o600, instead_of=before)
    else:
        document(text)


@group.group("print", hands_down=_HANDED_DOWN)
@with_flags(("kubeconfig",))
def print_group(**_parameters: Any) -> None:
    """Print default configurations.

    \b
    Examples:
      quorate config print init-defaults --component-configs KubeletConfiguration
      quorate config print join-defaults
    """


@print_group.command("init-defaults")
@with_flags(("component-configs", "kubeconfig"))
def print_init(**parameters: Any) -> None:
    """Print the default InitConfiguration and ClusterConfiguration.

    \b
    Example:
      quorate config print init-defaults > kubeadm-config.yaml
    """
    from quorate.config.printing import init_defaults
    from quorate.config.versions import DEFAULT
    from quorate.host.facts import kubelet_version

    components = Given.of(parameters).words("component-configs")
    wrong = [name for name in components if name not in _COMPONENTS]
    if wrong:
        raise ConfigError(
            f"unknown component configuration: {', '.join(wrong)}", advice=f"pass one of: {', '.join(_COMPONENTS)}"
        )
    document(init_defaults(kubelet_version() or DEFAULT, components))


@print_group.command("join-defaults")
@with_flags(("kubeconfig",))
def print_join(**_parameters: Any) -> None:
    """Print the default JoinConfiguration.

    \b
    Example:
      quorate config print join-defaults > join.yaml
    """
    from quorate.config.printing import join_defaults
    from quorate.host.facts import hostname

    document(join_defaults(hostname()))


@print_group.command("reset-defaults")
@with_flags(("kubeconfig",))
def print_reset(**_parameters: Any) -> None:
    """Print the default ResetConfiguration.

    \b
    Example:
      quorate config print reset-defaults > reset.yaml
    """
    from quorate.config.printing import reset_defaults

    document(reset_defaults())


@print_group.command("upgrade-defaults")
@with_flags(("kubeconfig",))
def print_upgrade(**_parameters: Any) -> None:
    """Print the default UpgradeConfiguration.

    \b
    Example:
      quorate config print upgrade-defaults > upgrade.yaml
    """
    from quorate.config.printing import upgrade_defaults

    document(upgrade_defaults())


@group.group(hands_down=_HANDED_DOWN)
@with_flags(("kubeconfig",))
def images(**_parameters: Any) -> None:
    """List or pull the images of a control plane.

    \b
    Examples:
      quorate config images list
      quorate config images list --kubernetes-version v1.34.4 -o json
    """


_IMAGES = ("config", "feature-gates", "image-repository", "kubeconfig", "kubernetes-version")


@images.command("list")
@with_flags((*_IMAGES, "allow-missing-template-keys", "show-managed-fields"))
@output_option("text", "json", "yaml")
def list_images(**parameters: Any) -> None:
    """Print the images, one per line.

    \b
    Example:
      quorate config images list --config kubeadm-config.yaml
    """
    given = Given.of(parameters)
    found = _images(given)
    shown = {"apiVersion": KUBEADM_VERSION, "images": found}
    emit(given.text("form"), "Images", shown, lambda: document("".join(f"{visible(image)}\n" for image in found)))


def _images(given: Given) -> list[str]:
    from quorate.manifests.images import all_images

    made = setup.init_setup(given, render.to_stderr())
    return all_images(made.cluster)


@images.command("pull")
@with_flags((*_IMAGES, "cri-socket"))
def pull_images(**parameters: Any) -> None:
    """Pull the images with the container runtime.

    \b
    Example:
      quorate config images pull --kubernetes-version v1.34.4
    """
    from quorate.host.cri import Runtime
    from quorate.manifests.images import all_images

    made = setup.init_setup(Given.of(parameters), render.to_stderr(), setup.the_runtime)
    with Runtime.connect(made.init.node_registration.cri_socket) as runtime:
        for image in all_images(made.cluster):
            runtime.ensure_image(image, policy="IfNotPresent")
            echo(f"[config/images] Pulled {image}")
