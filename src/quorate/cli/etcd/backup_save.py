"""`quorate etcd backup save`: saves one backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import files
from quorate.cli.common.durations import WAIT
from quorate.cli.common.exit_codes import CHANGES
from quorate.cli.common.option_groups import packed
from quorate.cli.common.output import echo, emit, output_option, size
from quorate.cli.etcd.backup_place import fields_of, place_argument, store_at, work_option
from quorate.cli.etcd.connection import connection_options
from quorate.cli.etcd.opening import cluster_opened
from quorate.errors import ConfigError, Interrupted, Refused

if TYPE_CHECKING:
    from quorate.backup.manifest import Manifest
    from quorate.backup.save import HowStored

_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Packed:
    """How it is packed, for whom, and what of this node goes with it."""

    compress: str
    recipient: tuple[str, ...]
    recipients_file: Path | None
    with_secrets: bool

    def words(self) -> tuple[str, ...]:
        """Returns the options that say the same from any directory."""
        files = () if self.recipients_file is None else (f"--recipients-file={self.recipients_file.absolute()}",)
        keys = (f"--recipient={one}" for one in self.recipient)
        compress = () if self.compress == "none" else (f"--compress={self.compress}",)
        return (*compress, *keys, *files, *(("--with-secrets",) if self.with_secrets else ()))


packing_options = packed(
    Packed,
    "packing",
    (
        click.option(
            "--compress", type=click.Choice(("none", "zstd")), default="none", show_default=True, help="How it is packed."
        ),
        click.option("--recipient", multiple=True, metavar="KEY", help="Encrypt it for this key of age or SSH; repeatable."),
        click.option(
            "--recipients-file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            shell_complete=files,
            help="Encrypt it for the keys in this file, one in each line.",
        ),
        click.option(
            "--with-secrets",
            is_flag=True,
            help="Also save, encrypted, the keys of this node's CAs and those of stored Secrets.",
        ),
    ),
)
"""Adds the options, and passes them to the command as `packing`."""


@command(ends=CHANGES)
@place_argument
@connection_options
@click.option("--from", "source", metavar="auto|learner|MEMBER", default="auto", show_default=True, help="Who is asked for it.")
@click.option("--allow-no-quorum", is_flag=True, help="Where no quorum answers, take what one member has; it may lack writes.")
@click.option("--every", type=WAIT, help="Save only where no host has saved one in the present period of this length.")
@packing_options
@work_option
@output_option()
def save(place: str, source: str, allow_no_quorum: bool, every: float | None, packing: Packed, work: Path, form: str) -> None:
    """Save a backup in DIR, with every write that was acknowledged before this command.

    A standby or another learner is asked by itself, then a follower, then the leader. The digest that etcd sends is compared,
    and every key is read, before the file gets its name. With --every several hosts may run this by a timer: one of them saves.
    What is encrypted reaches DIR encrypted only; 'age -d' and 'zstd -d' unpack it without quorate.

    \b
    Examples:
      quorate etcd backup save /mnt/backups --endpoints https://10.0.0.1:2379
      quorate etcd backup save /mnt/backups --every 1h
      quorate etcd backup save s3://backups/etcd --compress zstd --recipients-file keys.txt --with-secrets
    """
    from quorate.backup.save import Wish
    from quorate.backup.schedule import Period, save_in_period
    from quorate.host.facts import hostname

    if place.endswith(".db") and not Path(place).is_dir():
        # etcdctl's `snapshot save` takes a file.
        raise ConfigError(f"{place} reads like a file; backups are kept in a directory", advice="name a directory")
    how = how_stored(packing, work)
    with cluster_opened() as cluster, _saving():
        store = store_at(place, work, cluster.clock)
        period = Period(every, hostname()) if every is not None else None
        made = save_in_period(cluster, store, Wish(source, allow_no_quorum), how, period)
    if isinstance(made, str):
        data = {"id": None, "claimedBy": made}
        emit(form, "EtcdBackup", data, lambda: echo(f"nothing to do: {made} has this period"))
        return
    emit(form, "EtcdBackup", fields_of(made), lambda: _say_saved(place, made))


@contextmanager
def _saving() -> Iterator[None]:
    """Says of an interrupt in the block what it left."""
    try:
        yield
    except Interrupted as error:
        error.state = error.state or "nothing was saved"
        raise


def _say_saved(place: str, manifest: Manifest) -> None:
    echo(
        f"saved {manifest.id}: {manifest.keys} keys at revision {manifest.revision}, {size(manifest.blob.size)}, from the "
        f"{manifest.member.role} {manifest.member.name}"
    )
    if not manifest.through_quorum:
        echo("no quorum answered: it may lack writes that were acknowledged")
    if manifest.encryption_keys:
        echo(f"an API server needs these keys to read it: {', '.join(manifest.encryption_keys)}")
    echo(f"file: {file_at(place, manifest)}")
    if manifest.secrets is not None:
        echo(f"keys of this node: {manifest.secrets.name}, beside it")


def file_at(place: str, manifest: Manifest) -> str:
    """Returns where the file of a backup lies: its path, or its URL."""
    from quorate.backup.catalog import blob_of

    return f"{place.rstrip('/')}/{blob_of(manifest)}"


def how_stored(packing: Packed, work: Path) -> HowStored:
    """Returns how a backup is stored. Raises `ConfigError` and `Refused` for what cannot be so."""
    from quorate.backup.content import sweep_work
    from quorate.backup.packing import recipients
    from quorate.backup.save import HowStored
    from quorate.phases.node.keys_bundle import keys_bundle
    from quorate.tree import RealTree

    sweep_work(work)
    keys = recipients(packing.recipient, packing.recipients_file)
    if packing.with_secrets and keys is None:
        raise Refused(
            "the keys of a node are saved encrypted only",
            state="nothing was saved",
            advice="name for whom, with --recipient or --recipients-file; 'age-keygen' makes a key",
        )
    bundle = keys_bundle(RealTree(_ROOT)) if packing.with_secrets else b""
    return HowStored(packing.compress == "zstd", keys, work, bundle)
