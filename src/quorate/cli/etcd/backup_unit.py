"""`quorate etcd backup unit|timer|manifest`: print the units of systemd, or the static pod, that save and prune backups."""

from __future__ import annotations

from pathlib import Path

import click

from quorate.cli.common.commands import command
from quorate.cli.common.durations import DURATION
from quorate.cli.common.exit_codes import PRINTS
from quorate.cli.common.output import document
from quorate.cli.common.this_program import path_of_program
from quorate.cli.etcd.backup_place import place_argument, store_at
from quorate.cli.etcd.backup_save import Packed, packing_options
from quorate.cli.etcd.connection import connection_options, files_named, flags_in_full
from quorate.errors import UsageProblem

_LEAST_SECONDS = 60.0
_CREDENTIALS, _KUBERNETES = "/etc/default/quorate-backup", "/etc/kubernetes"
every_option = click.option(
    "--every", type=DURATION, default="1h", show_default=True, help="One backup in each period of this length."
)
keep_option = click.option("--keep", "rule", default="24h,7d,4w,6m", show_default=True, help="As of prune.")


@command(ends=PRINTS)
@place_argument
@every_option
@keep_option
@packing_options
@connection_options
def unit(place: str, every: float, rule: str, packing: Packed) -> None:
    """Print a systemd unit that saves a backup in DIR and prunes what no keep rule keeps.

    'quorate etcd backup timer' prints what starts it. It may be installed on every control-plane node, with one DIR that they
    share: one host saves in each period. What variables say now is written as flags; of a password only its file. The
    credentials of an object store are read from /etc/default/quorate-backup.

    \b
    Examples:
      quorate etcd backup unit /mnt/backups > /etc/systemd/system/quorate-backup.service
      quorate etcd backup timer > /etc/systemd/system/quorate-backup.timer
      systemctl enable --now quorate-backup.timer
    """
    from quorate.backup.objects import is_url
    from quorate.backup.packing import recipients
    from quorate.core.retention import Keep
    from quorate.host.units import Oneshot, oneshot_text

    refuse_short(every)
    Keep.parse(rule)
    program, is_remote = path_of_program(), is_url(place)
    if is_remote:
        store_at(place)
    recipients(packing.recipient, packing.recipients_file)
    folder = place if is_remote else str(Path(place).absolute())
    save = (program, "etcd", "backup", "save", folder, f"--every={every:g}s", *packing.words(), *flags_in_full())
    prune = (program, "etcd", "backup", "prune", folder, f"--keep={rule}")
    writes, variables = ((), _CREDENTIALS) if is_remote else ((folder,), "")
    document(oneshot_text(Oneshot("backup of etcd by quorate", (save, prune), writes, variables)))


@command(ends=PRINTS)
@every_option
def timer(every: float) -> None:
    """Print the systemd timer of the unit that 'quorate etcd backup unit' prints.

    It starts four times in each period: where one host fails, another one saves.

    \b
    Example:
      quorate etcd backup timer > /etc/systemd/system/quorate-backup.timer
    """
    from quorate.host.units import timer_text

    refuse_short(every)
    document(timer_text("backup of etcd by quorate", every))


@command(ends=PRINTS)
@place_argument
@click.option("--image", required=True, help="Image in which 'quorate' is a program.")
@every_option
@keep_option
@packing_options
@connection_options
def manifest(place: str, image: str, every: float, rule: str, packing: Packed) -> None:
    """Print a static pod that saves a backup in DIR and prunes what no keep rule keeps.

    It runs 'quorate etcd backup run' with these flags, from a file in /etc/kubernetes/manifests of a node, and works while the
    API server is down. DIR is a directory of the node; the folders of the certificates are mounted read-only. The pod is ready
    while the newest verified backup is not older than two periods.

    \b
    Example:
      quorate etcd backup manifest /mnt/backups --image registry.example/quorate:1.0 > quorate-backup.yaml
    """
    import yaml

    from quorate.backup.objects import is_url
    from quorate.backup.packing import recipients
    from quorate.core.retention import Keep
    from quorate.manifests.backup import BackupPod, backup_pod

    refuse_short(every)
    Keep.parse(rule)
    recipients(packing.recipient, packing.recipients_file)
    if is_url(place):
        # What the manifest says anybody may read who may read pods.
        raise UsageProblem(
            f"{place} takes credentials, which have no place in a pod's manifest",
            advice="run it as a service: quorate etcd backup unit",
        )
    if not image.strip():
        raise UsageProblem("--image is empty", advice="name the image in which 'quorate' is a program")
    folder = str(Path(place).absolute())
    flags = (f"--every={every:g}s", f"--keep={rule}", *packing.words(), *flags_in_full())
    named = [*files_named(), *([packing.recipients_file.absolute()] if packing.recipients_file is not None else [])]
    read_only = {str(path.parent) for path in named} | ({_KUBERNETES} if packing.with_secrets else set())
    pod = BackupPod(image, folder, every, flags, tuple(sorted(read_only - {folder})))
    document(yaml.safe_dump(backup_pod(pod), sort_keys=False))


def refuse_short(every: float) -> None:
    """Raises `UsageProblem` for a period that is no time."""
    if every < _LEAST_SECONDS:
        raise UsageProblem(f"--every is {every:g} s: a backup that often is a load of its own", advice="give 1m or more")
