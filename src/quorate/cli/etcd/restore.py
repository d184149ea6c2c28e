"""`quorate etcd restore`: one voter of a new cluster, from a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import files, folders
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.backup_place import WORK, identity_option, opener, store_there, work_option
from quorate.core.decide_restore import DEFAULT_QUOTA
from quorate.errors import Refused
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.decide_restore import Content
    from quorate.deadline import SystemClock
    from quorate.recovery.restore import Job, Restored


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be made of a backup, and by which programs."""

    which: str
    data_dir: Path
    name: str
    peer_url: str
    quota: int
    seen_revision: int
    set_aside: bool
    etcd: str | None
    etcdutl: str | None


@dataclass(frozen=True, slots=True)
class From:
    """Who opens an encrypted backup, and where it is unpacked."""

    identity: Path | None = None
    work: Path = WORK


_restore_options = packed(
    Given,
    "given",
    (
        click.option("--which", default="latest", show_default=True, help="Which backup, where BACKUP is a directory of them."),
        click.option(
            "--data-dir",
            required=True,
            type=click.Path(path_type=Path),
            shell_complete=folders,
            help="Where its etcd will look.",
        ),
        click.option("--name", required=True, help="Name of the one voter."),
        click.option("--peer-url", required=True, metavar="URL", help="Its peer URL, as its etcd advertises it."),
        click.option(
            "--quota",
            type=click.IntRange(min=1),
            default=DEFAULT_QUOTA,
            show_default=True,
            help="Bytes of its --quota-backend-bytes.",
        ),
        click.option(
            "--seen-revision", type=click.IntRange(min=0), default=0, help="Highest revision that anybody has seen, if known."
        ),
        click.option("--set-aside", is_flag=True, help="Rename the data that is there; it is kept."),
        click.option("--etcd", shell_complete=files, help="The etcd that will run on it.  [default: as for quorate local]"),
        click.option(
            "--etcdutl", shell_complete=files, help="The etcdutl to build it with.  [default: from PATH, or beside etcd]"
        ),
    ),
)
"""Adds the options, and passes them to the command as `given`."""


@command(ends=CHANGES)
@click.argument("source", metavar="BACKUP", shell_complete=files)
@_restore_options
@identity_option
@work_option
@click.option("--dry-run", is_flag=True, help="Judge all of it; make nothing.")
@output_option()
def restore(source: str, given: Given, identity: Path | None, work: Path, dry_run: bool, form: str) -> None:
    """Restore a backup to one voter of a new cluster; grow it afterwards with 'quorate etcd add'.

    BACKUP is a file of 'etcdctl snapshot save', or the place of 'quorate etcd backup': a directory or a URL. The cluster gets a
    fresh random token, so that old members that come back cannot take it over, and its revision jumps, so that each watch of
    before ends and each client lists anew. The data directory is built beside its place, looked at, and renamed at once.
    Nothing is overwritten.

    \b
    Example:
      quorate etcd restore /mnt/backups --data-dir /var/lib/etcd --name cp1 --peer-url https://10.0.0.1:2380
    """
    restored(source, given, From(identity, work), form, dry_run=dry_run)


def restored(source: str, given: Given, opened: From, form: str, *, dry_run: bool) -> None:
    """Restores a backup, or judges what that would do, and says so."""
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock
    from quorate.recovery.restore import judge
    from quorate.recovery.restore import restore as run_restore

    cancel = Cancel()
    with cancelling(cancel), progress() as report:
        clock = SystemClock(cancel)
        with _job(source, given, opened, clock) as job:
            if dry_run:
                content = judge(job, report)
            else:
                done = run_restore(job, clock, report)
    if dry_run:
        emit(form, "EtcdRestorePlan", _planned(content), lambda: _say_planned(job, content))
    else:
        emit(form, "EtcdRestore", done.as_dict(), lambda: _say(job, done))


@contextmanager
def _job(source: str, given: Given, opened: From, clock: SystemClock) -> Iterator[Job]:
    from quorate.backup.catalog import catalog, find
    from quorate.backup.content import snapshot_of
    from quorate.backup.objects import is_url

    if not is_url(source) and not Path(source).is_dir():
        yield _job_of(Path(source), given)
        return
    store = store_there(source, opened.work, clock)
    manifest = find(catalog(store), given.which)
    if manifest.damaged is not None:
        raise Refused(
            f"{manifest.id} was found damaged on {manifest.damaged.at:%Y-%m-%d}: {'; '.join(manifest.damaged.problems)}",
            state="nothing was changed",
            advice=f"{to_paste('quorate', 'etcd', 'backup', 'list', source)} shows others; name one with --which",
        )
    with snapshot_of(store, manifest, opener(opened.identity, opened.work), clock.cancel) as path:
        job = _job_of(path, given)
        yield replace(
            job,
            seen=max(job.seen, manifest.revision),
            old_cluster=manifest.cluster_id,
            sha256=manifest.snapshot_sha256,
        )


def _job_of(snapshot: Path, given: Given) -> Job:
    from quorate.core.decide_restore import Wish
    from quorate.core.ids import normalise_url
    from quorate.core.new_member import check_new_name
    from quorate.host import etcd_binary
    from quorate.recovery.restore import Job

    check_new_name(given.name)
    program = etcd_binary.find(given.etcd)
    wish = Wish(program.version, given.quota, normalise_url(given.peer_url), given.set_aside)
    etcdutl = etcd_binary.etcdutl_for(given.etcdutl, program.path)
    return Job(snapshot, given.data_dir.absolute(), given.name, wish.peer_url, etcdutl, wish, given.seen_revision)


def _planned(content: Content) -> dict[str, object]:
    return {"keys": content.keys, "revision": content.revision, "bytes": content.size}


def _say_planned(job: Job, content: Content) -> None:
    echo(f"would restore {content.keys} keys at revision {content.revision} to {job.data_dir}, as the one voter {job.name}")
    echo(NOTHING_DONE)


def _say(job: Job, done: Restored) -> None:
    echo(f"restored {done.keys} keys to {job.data_dir}: the one voter {job.name} of the new cluster {done.cluster_id:x}")
    echo(f"its revision jumped by {done.bumped_by} to {done.revision}: each client lists anew, and none has to be restarted")
    if done.kept is not None:
        echo(f"what was there is kept as {done.kept}")
    flags = (f"--name={job.name}", f"--data-dir={job.data_dir}", f"--initial-advertise-peer-urls={job.peer_url}")
    echo(f"start its etcd as before, with its listen URLs and certificates, and with {to_paste(*flags)}")
    echo("without that --data-dir an etcd begins an empty cluster of its own")
    if done.no_space:
        echo(
            "NOSPACE was raised when it was saved, by a member that is none any more: etcdctl alarm disarm, with a larger quota"
        )
    echo("no member of the old cluster may start again; the new one grows member by member, each a learner first")
