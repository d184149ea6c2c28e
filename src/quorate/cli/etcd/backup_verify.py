"""`quorate etcd backup verify`: reads a backup again, and lets an etcd serve what is restored of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import files, folders
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.backup_place import catalog_at, cluster_option, fields_of, id_of, place_argument, store_at
from quorate.errors import QuorateError, UsageProblem

if TYPE_CHECKING:
    from quorate.backup.folder import FolderStore
    from quorate.backup.verify import Checked
    from quorate.deadline import SystemClock
    from quorate.recovery.restore_trial import Trial
    from quorate.report import Report


@dataclass(frozen=True, slots=True)
class Tried:
    """How a restore is tried: where, and by which programs."""

    restore_test: bool
    work: Path | None
    etcd: str | None
    etcdutl: str | None


_trial_options = packed(
    Tried,
    "tried",
    (
        click.option("--restore-test", is_flag=True, help="Also restore it for a while, and let an etcd serve it, alone."),
        click.option(
            "--work",
            type=click.Path(path_type=Path),
            shell_complete=folders,
            help="Where it is restored to for the test.  [default: DIR]",
        ),
        click.option("--etcd", shell_complete=files, help="The etcd of the test.  [default: as for quorate local]"),
        click.option("--etcdutl", shell_complete=files, help="The etcdutl of the test.  [default: from PATH, or beside etcd]"),
    ),
)


@command(ends=CHANGES)
@place_argument
@click.argument("which", default="latest")
@cluster_option
@_trial_options
@output_option()
def verify(place: Path, which: str, cluster: str | None, tried: Tried, form: str) -> None:
    """Read a backup in DIR again: its digests, and every key. Its manifest then says when it was last found whole, or damaged.

    With --restore-test it is restored to a folder of its own as well, and an etcd has to serve it there, without a network; the
    folder is deleted then. Exits with code 1 when it is damaged. 'etcdutl snapshot status' does not compare the digest, and
    calls a damaged file good.

    \b
    Examples:
      quorate etcd backup verify /mnt/backups latest
      quorate etcd backup verify /mnt/backups --restore-test --work /var/tmp
    """
    from quorate.backup.catalog import find
    from quorate.backup.verify import verify as verified
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock

    if tried.work is not None and not tried.restore_test:
        raise UsageProblem("--work is for a test of the restore", advice="add --restore-test, or leave it out")
    cancel = Cancel()
    clock, store = SystemClock(cancel), store_at(place)
    with cancelling(cancel), progress() as report:
        checked = verified(store, find(catalog_at(place), which, id_of(cluster)), clock)
        if tried.restore_test and not checked.problems:
            checked = _restored(store, checked, tried, clock, report)
    data = {**fields_of(checked.manifest), "problems": list(checked.problems)}
    emit(form, "EtcdBackupCheck", data, lambda: _say(checked, tried))
    if checked.problems:
        raise click.exceptions.Exit(QuorateError.exit_code)


def _restored(store: FolderStore, checked: Checked, tried: Tried, clock: SystemClock, report: Report) -> Checked:
    """Returns the check with the outcome of the trial, which is noted in the manifest. One that fails is an error, and says
    nothing there: the program, or the room for it, may have been at fault, and what is called damaged counts for nothing."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from quorate.backup.manifest import SUFFIX
    from quorate.recovery.restore_trial import RESTORED, try_restore

    try_restore(_trial(store, checked, tried), clock, report)
    manifest = checked.manifest.checked(datetime.fromtimestamp(clock.wall(), UTC), RESTORED)
    store.replace(manifest.id + SUFFIX, manifest.as_bytes())
    return replace(checked, manifest=manifest)


def _trial(store: FolderStore, checked: Checked, tried: Tried) -> Trial:
    from quorate.backup.catalog import blob_of
    from quorate.host import etcd_binary
    from quorate.recovery.restore_trial import Trial

    program = etcd_binary.find(tried.etcd)
    return Trial(
        store.path(blob_of(checked.manifest)).absolute(),
        checked.manifest.blob.sha256,
        (tried.work or store.root).absolute(),
        program,
        etcd_binary.etcdutl_for(tried.etcdutl, program.path),
    )


def _say(checked: Checked, tried: Tried) -> None:
    one = checked.manifest
    for problem in checked.problems:
        echo(f"problem: {one.id}: {problem}")
    if not checked.problems:
        served = ", and was served by an etcd" if tried.restore_test else ""
        echo(f"{one.id} is whole: {one.keys} keys at revision {one.revision}{served}")
