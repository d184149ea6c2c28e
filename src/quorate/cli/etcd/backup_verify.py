"""`quorate etcd backup verify`: reads a backup again, and lets an etcd serve what is restored of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import files
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.backup_place import (
    cluster_option,
    fields_of,
    id_of,
    identity_option,
    opener,
    place_argument,
    store_there,
    work_option,
)
from quorate.errors import QuorateError, UsageProblem

if TYPE_CHECKING:
    from quorate.backup.content import Opener
    from quorate.backup.store import Store
    from quorate.backup.verify import Checked
    from quorate.deadline import SystemClock
    from quorate.report import Report


@dataclass(frozen=True, slots=True)
class Tried:
    """How a restore is tried: whether, and by which programs."""

    restore_test: bool
    etcd: str | None
    etcdutl: str | None


_trial_options = packed(
    Tried,
    "tried",
    (
        click.option("--restore-test", is_flag=True, help="Also restore it for a while, and let an etcd serve it, alone."),
        click.option("--etcd", shell_complete=files, help="The etcd of the test.  [default: as for quorate local]"),
        click.option("--etcdutl", shell_complete=files, help="The etcdutl of the test.  [default: from PATH, or beside etcd]"),
    ),
)


@command(ends=CHANGES)
@place_argument
@click.argument("which", default="latest")
@cluster_option
@_trial_options
@identity_option
@work_option
@output_option()
def verify(place: str, which: str, cluster: str | None, tried: Tried, identity: Path | None, work: Path, form: str) -> None:
    """Read a backup in DIR again: its digests, and every key. Its manifest then says when it was last found whole, or damaged.

    With --restore-test it is restored to a folder of its own in --work as well, and an etcd has to serve it there, without a
    network. Of one that is encrypted, without an identity, the digests alone are compared. Exits with code 1 when it is
    damaged. 'etcdutl snapshot status' does not compare the digest, and calls a damaged file good.

    \b
    Examples:
      quorate etcd backup verify /mnt/backups latest
      quorate etcd backup verify /mnt/backups --restore-test --identity age.key
    """
    from quorate.backup.catalog import catalog, find
    from quorate.backup.content import can_open
    from quorate.backup.verify import verify as verified
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock

    cancel, opens = Cancel(), opener(identity, work)
    clock = SystemClock(cancel)
    with cancelling(cancel), progress() as report:
        store = store_there(place, work, clock)
        manifest = find(catalog(store), which, id_of(cluster))
        if tried.restore_test and not can_open(manifest, opens):
            raise UsageProblem(f"{manifest.id} is encrypted", advice="name who opens it, with --identity FILE")
        checked = verified(store, manifest, opens, clock)
        if tried.restore_test and not checked.problems:
            checked = _restored(store, checked, opens, tried, clock, report)
    data = {**fields_of(checked.manifest), "problems": list(checked.problems)}
    emit(form, "EtcdBackupCheck", data, lambda: _say(checked, tried, is_read=can_open(manifest, opens)))
    if checked.problems:
        raise click.exceptions.Exit(QuorateError.exit_code)


def _restored(store: Store, checked: Checked, opens: Opener, tried: Tried, clock: SystemClock, report: Report) -> Checked:
    """Returns the check with the outcome of the trial, which is noted in the manifest. One that fails is an error, and says
    nothing there: the program, or the room for it, may have been at fault, and what is called damaged counts for nothing."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from quorate.backup.content import snapshot_of
    from quorate.backup.manifest import SUFFIX
    from quorate.host import etcd_binary
    from quorate.recovery.restore_trial import RESTORED, Trial, try_restore

    program = etcd_binary.find(tried.etcd)
    etcdutl = etcd_binary.etcdutl_for(tried.etcdutl, program.path)
    with snapshot_of(store, checked.manifest, opens, clock.cancel) as path:
        trial = Trial(path.absolute(), checked.manifest.snapshot_sha256, opens.work.absolute(), program, etcdutl)
        try_restore(trial, clock, report)
    manifest = checked.manifest.checked(datetime.fromtimestamp(clock.wall(), UTC), RESTORED)
    store.replace(manifest.id + SUFFIX, manifest.as_bytes())
    return replace(checked, manifest=manifest)


def _say(checked: Checked, tried: Tried, *, is_read: bool) -> None:
    one = checked.manifest
    for problem in checked.problems:
        echo(f"problem: {one.id}: {problem}")
    if checked.problems:
        return
    if not is_read:
        echo(f"{one.id} is what was saved, by its digests; to read every key of it, name who opens it: --identity FILE")
        return
    served = ", and was served by an etcd" if tried.restore_test else ""
    echo(f"{one.id} is whole: {one.keys} keys at revision {one.revision}{served}")
