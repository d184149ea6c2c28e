"""`quorate etcd backup`: saves, lists, verifies, copies and prunes backups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import group
from quorate.cli.common.completion import folders
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.durations import DURATION, WAIT
from quorate.cli.common.exit_codes import CHANGES, READS
from quorate.cli.common.output import echo, emit, output_option, print_table, size
from quorate.cli.etcd.backup_place import (
    catalog_at,
    cluster_option,
    fields_of,
    id_of,
    identity_option,
    opener,
    place_argument,
    store_at,
    store_there,
    work_option,
)
from quorate.cli.etcd.backup_run import run
from quorate.cli.etcd.backup_save import file_at, save
from quorate.cli.etcd.backup_unit import manifest, timer, unit
from quorate.cli.etcd.backup_verify import verify
from quorate.cli.etcd.connection import CONNECTION, connection_options
from quorate.errors import QuorateError

if TYPE_CHECKING:
    from quorate.backup.catalog import Catalog
    from quorate.backup.manifest import Manifest
    from quorate.backup.prune import Plan

_KEEP = "24h,7d,4w,6m"
_HOUR = 3600.0
_HOW = {"walk": "all keys read", "restore-test": "restored and served", "digest": "digests compared"}


@group("backup", hands_down=CONNECTION)
@connection_options
def backup() -> None:
    """Save the data of a cluster, and look after what was saved.

    A backup is the snapshot that etcd sends, unchanged: etcdutl restores it without quorate. Its manifest is written last; a
    file without one was never finished. DIR is a directory that only you can write to, on another machine's disk, or the URL of
    an object store, such as s3://bucket/prefix.

    \b
    Examples:
      quorate etcd backup save /mnt/backups
      quorate etcd backup list /mnt/backups
    """


@backup.command("list", ends=READS)
@place_argument
@cluster_option
@output_option()
def list_backups(place: str, cluster: str | None, form: str) -> None:
    """List the backups in DIR, the newest first.

    What is no whole backup is named, and ends the command with 1: a manifest that cannot be read, or whose file is gone.

    \b
    Example:
      quorate etcd backup list /mnt/backups -o json
    """
    found = catalog_at(place)
    backups = found.of(id_of(cluster))
    data = {
        "backups": [fields_of(one) for one in backups],
        "unfinished": [one.name for one in found.unfinished],
        "problems": list(found.problems),
    }
    emit(form, "EtcdBackupList", data, lambda: _print(backups, found))
    if found.problems:
        raise click.exceptions.Exit(QuorateError.exit_code)


def _print(backups: Sequence[Manifest], found: Catalog) -> None:
    rows = [
        (
            one.id,
            f"{one.taken_at:%Y-%m-%d %H:%M:%S}",
            str(one.revision),
            str(one.keys),
            size(one.blob.size),
            one.member.name,
            _last_check(one),
        )
        for one in backups
    ]
    if rows:
        print_table(("BACKUP", "TAKEN (UTC)", "REVISION", "KEYS", "SIZE", "FROM", "VERIFIED"), rows)
    else:
        echo(f"there is no backup in {found.place}")
    for stored in found.unfinished:
        echo(f"unfinished: {stored.name} has no manifest; a prune deletes it after a day")
    for problem in found.problems:
        echo(f"problem: {problem}")


def _last_check(one: Manifest) -> str:
    if one.damaged is not None:
        return f"DAMAGED, seen {one.damaged.at:%Y-%m-%d}"
    return ", ".join(f"{_HOW.get(check.how, check.how)} {check.at:%Y-%m-%d}" for check in one.verified) or "never"


@backup.command(ends=READS)
@place_argument
@click.argument("which", default="latest")
@cluster_option
@output_option()
def show(place: str, which: str, cluster: str | None, form: str) -> None:
    """Show what a backup in DIR holds; the latest, or WHICH.

    \b
    Example:
      quorate etcd backup show /mnt/backups latest
    """
    from quorate.backup.catalog import find

    manifest = find(catalog_at(place), which, id_of(cluster))
    emit(form, "EtcdBackup", fields_of(manifest), lambda: _print_one(place, manifest))


def _print_one(place: str, one: Manifest) -> None:
    rows = [
        ("backup", one.id),
        ("file", f"{file_at(place, one)} ({size(one.blob.size)}){_packed(one)}"),
        ("taken", f"{one.taken_at:%Y-%m-%d %H:%M:%S} UTC from the {one.member.role} {one.member.name} ({one.member.version})"),
        ("quorum", "yes" if one.through_quorum else "no: it may lack writes that were acknowledged"),
        ("content", f"{one.keys} keys at revision {one.revision}, applied up to index {one.raft_index} of term {one.term}"),
    ]
    if one.newest_lease is not None:
        rows.append(("data as of", f"{one.newest_lease:%Y-%m-%d %H:%M:%S} UTC"))
    if one.secrets is not None:
        rows.append(("keys of node", f"{one.secrets.name} ({size(one.secrets.size)}, encrypted)"))
    rows += [("needs key", key) for key in one.encryption_keys]
    rows += [("alarm", alarm) for alarm in one.alarms]
    rows += [("verified", f"{check.at:%Y-%m-%d %H:%M:%S} UTC ({_HOW.get(check.how, check.how)})") for check in one.verified]
    if one.damaged is not None:
        rows.append(("DAMAGED", f"seen {one.damaged.at:%Y-%m-%d %H:%M:%S} UTC: {'; '.join(one.damaged.problems)}"))
    for name, text in rows:
        echo(f"{name:<12}{text}")


def _packed(one: Manifest) -> str:
    ways = [*filter(None, (one.packing.compression, one.packing.encryption)), *one.packing.recipients]
    return f", {' '.join(ways)}" if ways else ""


@backup.command(ends=CHANGES)
@place_argument
@click.argument("target", metavar="TO", shell_complete=folders)
@click.argument("which", default="latest")
@cluster_option
@work_option
@output_option()
def copy(place: str, target: str, which: str, cluster: str | None, work: Path, form: str) -> None:
    """Copy a backup from DIR to TO, which may be a directory or an object store, too. What arrives is compared
    with its manifest before it gets its name.

    \b
    Example:
      quorate etcd backup copy /mnt/backups /mnt/elsewhere latest
    """
    from quorate.backup.catalog import find
    from quorate.backup.copy import copy as copied
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock

    cancel = Cancel()
    manifest = find(catalog_at(place), which, id_of(cluster))
    with cancelling(cancel):
        clock = SystemClock(cancel)
        is_new = copied(manifest, store_at(place, work, clock), store_at(target, work, clock), clock)
    done = "copied to" if is_new else "is already in"
    emit(form, "EtcdBackup", fields_of(manifest), lambda: echo(f"{manifest.id} {done} {target}"))


@backup.command(ends=READS)
@place_argument
@click.option("--max-age", type=WAIT, default="26h", show_default=True, help="Most age of the newest verified backup.")
@cluster_option
@output_option()
def status(place: str, max_age: float, cluster: str | None, form: str) -> None:
    """Show how old the newest verified backup in DIR is, for each cluster. Exits with code 1 where it is too old.

    \b
    Example:
      quorate etcd backup status /mnt/backups --max-age 2h
    """
    from quorate.backup.age import ages
    from quorate.deadline import SystemClock

    rows = ages(catalog_at(place), id_of(cluster), SystemClock().wall(), max_age)

    def table() -> None:
        if not rows:
            echo(f"there is no backup in {place} that is verified and whole")
        for one in rows:
            age = f"{one.seconds:.0f} s" if one.seconds < _HOUR else f"{one.seconds / _HOUR:.1f} h"
            old = f", older than {max_age:g} s: save one with 'quorate etcd backup save'" if one.is_old else ""
            echo(f"cluster {one.cluster_id:x}: {one.id} is {age} old{old}")

    data = {"clusters": [one.as_dict() for one in rows], "maxAgeSeconds": max_age}
    emit(form, "EtcdBackupStatus", data, table)
    if not rows or any(one.is_old for one in rows):
        raise click.exceptions.Exit(QuorateError.exit_code)


@backup.command(ends=CHANGES)
@place_argument
@click.option("--keep", "rule", default=_KEEP, show_default=True, help="Hours, days, weeks, months, years, or a plain number.")
@click.option(
    "--max-age",
    type=DURATION,
    default="48h",
    show_default=True,
    help="Delete nothing where the newest verified backup is older.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted; delete nothing.")
@identity_option
@work_option
@output_option()
def prune(place: str, rule: str, max_age: float, dry_run: bool, identity: Path | None, work: Path, form: str) -> None:
    """Delete the backups in DIR that no keep rule keeps, and unfinished files older than a day.

    24h keeps the newest backup of each of the last 24 hours that have one. The newest verified backup is always kept, and
    where it is older than --max-age nothing is deleted: backups that fail must not eat the good ones.

    \b
    Example:
      quorate etcd backup prune /mnt/backups --keep 24h,7d,4w,6m --dry-run
    """
    from quorate.backup import prune as pruning
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.core.retention import Keep
    from quorate.deadline import Cancel, SystemClock

    cancel = Cancel()
    clock = SystemClock(cancel)
    store, opens = store_there(place, work, clock), opener(identity, work)
    gone: list[str] = []
    with cancelling(cancel), progress() as report:
        pruner = pruning.Pruner(store, Keep.parse(rule), max_age, opens, clock, report)
        if dry_run:
            decided = pruner.plan()
        else:
            decided, gone = pruner.prune()
    emit(
        form,
        "EtcdBackupPruning",
        pruning.as_dict(decided, gone, dry_run=dry_run),
        lambda: _say_pruned(place, decided, dry_run=dry_run),
    )


def _say_pruned(place: str, decided: Plan, *, dry_run: bool) -> None:
    rows = [
        (row.id, "kept: " + ", ".join(row.reasons) if row.reasons else "would be deleted" if dry_run else "deleted")
        for one in decided.clusters
        if not one.pruning.refused
        for row in one.pruning.verdicts
    ]
    if rows:
        print_table(("BACKUP", "WHAT"), rows)
    if not decided.clusters:
        echo(f"there is no backup in {place}")
    for one in decided.clusters:
        if one.pruning.refused:
            echo(f"cluster {one.cluster_id:x}: nothing is deleted: {one.pruning.refused}")
    for stored in decided.rubbish:
        echo(f"unfinished: {stored.name}{' would be' if dry_run else ''} deleted")
    if dry_run:
        echo(NOTHING_DONE)


backup.add_command(save)
backup.add_command(verify)
backup.add_command(unit)
backup.add_command(timer)
backup.add_command(run)
backup.add_command(manifest)
