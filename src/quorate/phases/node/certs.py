"""Phase certs: every certificate of the table, created where it is missing, kept where it is right, refused where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from quorate.errors import ConfigError, HostError, PreflightFailed
from quorate.foreign.places import Stamp
from quorate.phases.base.context import Context
from quorate.phases.node import run_marker
from quorate.pki.certificates import (
    Certificate,
    KeyKind,
    LeafSpec,
    Pair,
    PrivateKey,
    key_pem,
    make_ca,
    make_leaf,
    names_by_kind,
    public_key_pem,
)
from quorate.pki.proof import refused
from quorate.pki.store import CERTIFICATE_MODE, KEY_MODE, ca_flaws, flaws, parse_certificate, parse_key
from quorate.pki.table import SA_KEY, SA_PUB, Entry, entries
from quorate.report import Notice
from quorate.tree import NewContent

PHASE = "certs"
_FOLDER_MODE = 0o755


def request(context: Context) -> str:
    """Returns what makes signing requests also on a node that has certificates: they are no reason to refuse it in a folder of
    its own."""
    own = ("--cert-dir", "./requests", "--kubeconfig-dir", "./requests")
    return context.this_node.command("certs", "generate-csr", *own)


def prepare(context: Context) -> None:
    """Starts to make the missing keys in parallel, before the first certificate."""
    context.say(PHASE, f'Using certificateDir folder "{context.cluster.certificates_dir}"')
    table = entries(context.cluster, context.node)
    missing = [entry for entry in table if not context.tree.is_file(files(context, entry)[1])]
    context.keys.prepare(key_kind(context), len(missing) + (not context.tree.is_file(context.pki(SA_KEY))))


def ensure_all(context: Context) -> None:
    """Ensures every certificate, and `sa.key`. Raises `PreflightFailed` when an existing file does not fit."""
    prepare(context)
    ensure(context, entries(context.cluster, context.node))
    ensure_sa(context)


def ensure_named(context: Context, name: str) -> None:
    """Ensures the one certificate of a phase such as `apiserver`. Its CA must exist, unless it is a CA itself."""
    ensure(context, [entry for entry in entries(context.cluster, context.node) if entry.name == name])


def ensure(context: Context, wanted: Sequence[Entry]) -> None:
    """Checks the existing certificates and makes the missing ones: the CAs first, as they sign the others."""
    missing = [entry for entry in wanted if not _check_existing(context, entry)]
    for entry in missing:
        if not entry.is_ca:
            _check_signer(context, entry, missing)
    made: dict[str, Pair] = {}
    for entry in sorted(missing, key=lambda entry: not entry.is_ca):
        made[entry.name] = _made(context, entry, made)
    for entry in missing:
        # Nothing is written before each of them is known to verify.
        write_pair(context, entry, made[entry.name])
    for entry, pair in ((entry, made[entry.name]) for entry in missing):
        key, certificate = contents(context, entry, pair)
        # A key that was there before is written as its maker wrote it.
        refuse_another_writer(
            context, entry.base, [certificate] if holds_key(context, key.path, pair.key) else [key, certificate]
        )
        if not entry.is_ca:
            _refuse_another_ca(context, entry, pair)


def key_kind(context: Context) -> KeyKind:
    kind: KeyKind = context.cluster.encryption_algorithm  # type: ignore[assignment]
    return kind


def files(context: Context, entry: Entry) -> tuple[str, str]:
    """Returns the paths of certificate and key."""
    return context.pki(f"{entry.base}.crt"), context.pki(f"{entry.base}.key")


def anew(context: Context, kind: Literal["certs", "kubeconfig"], name: str, *paths: str) -> str:
    """Returns how files that are of no use are replaced: they hold a name and usages that nobody can read."""
    node = replace(context.this_node, config=context.this_node.config or "FILE")
    command = node.command("init", "phase", kind, name)
    them = "them" if len(paths) > 1 else "it"
    return f"move {' and '.join(paths)} to another folder, and make {them} anew by the cluster's configuration: {command}"


def remedy(context: Context, entry: Entry) -> str:
    """Returns what to do about a pair that cannot be read, whichever command finds it."""
    paths = files(context, entry)
    if entry.is_ca:
        return f"put the CA of this cluster there, {' and '.join(paths)}: nobody in the cluster would trust a new one"
    return anew(context, "certs", entry.name, *paths)


def remedy_of_key(context: Context, ca: Entry) -> str:
    """Returns what to do about a key of a CA that is of no use for its certificate."""
    return f"put the key of {files(context, ca)[0]} there: the host that made this CA has it"


@contextmanager
def with_remedy(context: Context, entry: Entry) -> Iterator[None]:
    """Adds to the error for a file of a pair, which the block cannot read, what to do about it."""
    try:
        yield
    except ConfigError as error:
        error.own_advice = error.own_advice or remedy(context, entry)
        raise


def read_pair(context: Context, entry: Entry) -> Pair:
    """Returns a CA with its key, to sign with. Raises `PreflightFailed` when one is missing, they do not match, or nobody would
    trust what it signs; `ConfigError` when one is broken."""
    certificate_path, key_path = files(context, entry)
    certificate, key = context.tree.read(certificate_path), context.tree.read(key_path)
    if certificate is None or key is None:
        lacking = certificate_path if certificate is None else key_path
        # A new CA would not do where its certificate is in use: nobody trusts it, and the member or node is cut off.
        advice = (
            f"create it: {context.this_node.command('init', 'phase', 'certs', entry.name)}"
            if certificate is None and key is None
            else f"copy {lacking} from the host that keeps it, or have certificates signed there: {request(context)}"
        )
        raise _cannot_sign(f"{lacking} is missing: it is needed to sign certificates", advice)
    with with_remedy(context, entry):
        parsed = parse_certificate(certificate, certificate_path)
    try:
        pair = Pair(parsed, parse_key(key, key_path))
    except ConfigError as error:
        raise _cannot_sign(error.what, remedy_of_key(context, entry)) from error
    if pair.key.public_key() != pair.certificate.public_key():
        raise _cannot_sign(f"{key_path} does not belong to {certificate_path}", remedy_of_key(context, entry))
    found = ca_flaws(pair.certificate, certificate_path, now=context.now)
    if found:
        raise _cannot_sign(
            "; ".join(found),
            "renew or replace the CA, or correct this host's clock (timedatectl set-ntp true); then run this again",
        )
    return pair


def signed(context: Context, path: str, ca: Pair, make: Callable[[Pair], Pair]) -> Pair:
    """Returns the pair that `make` makes with a CA, for the file at `path`: here every CA of a cluster signs. A certificate
    that does not verify takes a component down at its next start. Raises `PreflightFailed` for one."""
    pair = make(ca)
    found = flaws(pair.certificate, path, ca=ca.certificate, names=(), now=context.now)
    if not found and (why := refused(pair, ca.certificate)):
        found = [f"{path} would be refused by those that trust its CA: {why}"]
    if found:
        raise _cannot_sign(
            "; ".join(found), "correct the configuration (its names, periods) or replace the CA, then run this again"
        )
    end = ca.certificate.not_valid_after_utc
    if pair.certificate.not_valid_after_utc > end:
        context.report(Notice(f"{path} is of use only until its CA ends, {end:%b %d, %Y %H:%M UTC}: renew the CA", "warning"))
    return pair


def _cannot_sign(what: str, advice: str) -> PreflightFailed:
    return PreflightFailed(what, state="nothing was changed", advice=advice)


def signer_of(context: Context, entry: Entry) -> Entry:
    return next(one for one in entries(context.cluster, context.node) if one.name == entry.signer)


def has_key(context: Context, ca: Entry) -> bool:
    """Returns False for an external CA: its certificate is here and its key is not. Something else in the key's place, such as
    a folder that docker made for a volume, is no missing key: it cannot be read."""
    return context.tree.mode(files(context, ca)[1]) is not None


def _check_existing(context: Context, entry: Entry) -> bool:
    """Returns whether the certificate exists. Raises `PreflightFailed` when it exists and does not fit, and for a key of a CA
    without its certificate, unless a run that was cut off made it: a new certificate would be a new CA."""
    certificate_path, key_path = files(context, entry)
    pem, key = context.tree.read(certificate_path), context.tree.read(key_path)
    if pem is None:
        if key is not None and entry.is_ca and not run_marker.made_by_the_run(context, key_path):
            raise _refusal(
                f"{key_path} exists without its certificate {certificate_path}",
                "put the certificate of this cluster's CA there; where no cluster was made with that key, delete "
                f"{key_path} and run this again",
            )
        return False
    with with_remedy(context, entry):
        certificate = parse_certificate(pem, certificate_path)
        _check_key(context, entry, certificate, key)
    found = (
        ca_flaws(certificate, certificate_path, now=context.now) if entry.is_ca else _leaf_flaws(context, entry, certificate)
    )
    if found:
        if not entry.is_ca and len(found) == 1 and certificate.not_valid_after_utc < context.now:
            raise _refusal(found[0], context.this_node.command("certs", "renew", entry.name))
        raise _refused(context, entry, "; ".join(found))
    _check_mode(context, key_path)
    what = "certificate authority" if entry.is_ca and key is None else "certificate and key"
    context.say(PHASE, f'Using the existing "{entry.base}" {what}')
    return True


def _check_key(context: Context, entry: Entry, certificate: Certificate, key: bytes | None) -> None:
    certificate_path, key_path = files(context, entry)
    if key is None:
        if entry.is_ca:
            return
        raise _refused(context, entry, f"{certificate_path} exists without its key {key_path}")
    if parse_key(key, key_path).public_key() != certificate.public_key():
        raise _refused(context, entry, f"{key_path} does not belong to {certificate_path}")


def _check_mode(context: Context, key_path: str) -> None:
    mode = context.tree.mode(key_path)
    if mode is not None and mode & 0o077:
        text = f"{key_path} is open to other users (mode {mode:04o}): set its mode to 600"
        context.report(Notice(text, "warning"))


def _leaf_flaws(context: Context, entry: Entry, certificate: Certificate) -> list[str]:
    ca_path = files(context, signer_of(context, entry))[0]
    pem, path = context.tree.read(ca_path), files(context, entry)[0]
    if pem is None:
        return [f"{path} exists without its CA {ca_path}"]
    with with_remedy(context, signer_of(context, entry)):
        ca = parse_certificate(pem, ca_path)
    return flaws(certificate, path, ca=ca, names=entry.names, now=context.now, usages=entry.usages)


def _check_signer(context: Context, entry: Entry, missing: Sequence[Entry]) -> None:
    signer = signer_of(context, entry)
    if signer not in missing:
        read_pair(context, signer)


def _refuse_another_ca(context: Context, entry: Entry, pair: Pair) -> None:
    """Raises `HostError` for what the CA that is there now would not have signed: this run may have been suspended between the
    look at the CA and the last file."""
    found = _leaf_flaws(context, entry, pair.certificate)
    if found:
        raise HostError(
            f"{files(context, signer_of(context, entry))[0]} was replaced while {entry.base} was made: {'; '.join(found)}",
            advice=f"delete {' and '.join(files(context, entry))}, then run the same command again",
        )


def _made(context: Context, entry: Entry, made: Mapping[str, Pair]) -> Pair:
    """Returns a new pair, for the key that a run which was cut off has left, if any. `made`: those that are not written
    yet."""
    key = left_key(context, files(context, entry)[1])
    context.say(PHASE, f'Generating "{entry.base}" certificate {"for its existing key" if key else "and key"}')
    key = key or context.keys.take(key_kind(context))
    if entry.is_ca:
        return make_ca(entry.common_name, now=context.now, validity=_ca_validity(context), key=key)
    ca = made.get(entry.signer) or read_pair(context, signer_of(context, entry))
    spec = LeafSpec(entry.common_name, entry.usages, entry.names, entry.organizations, leaf_validity(context))
    pair = signed(context, files(context, entry)[0], ca, lambda ca: make_leaf(spec, ca, now=context.now, key=key))
    _say_names(context, entry)
    return pair


def left_key(context: Context, path: str) -> PrivateKey | None:
    """Returns the key that a run which was cut off has left at `path`; None where there is none. Raises `ConfigError` for one
    that cannot be used."""
    pem = context.tree.read(path)
    if pem is None:
        return None
    _check_mode(context, path)
    return parse_key(pem, path)


def holds_key(context: Context, path: str, key: PrivateKey) -> bool:
    """Returns whether the file holds this key, in whatever form."""
    pem = context.tree.read(path)
    return pem is not None and parse_key(pem, path).public_key() == key.public_key()


def _say_names(context: Context, entry: Entry) -> None:
    if entry.names:
        dns, addresses = (" ".join(names) for names in names_by_kind(entry.names))
        context.say(PHASE, f"{entry.base} serving cert is signed for DNS names [{dns}] and IPs [{addresses}]")


def write_pair(context: Context, entry: Entry, pair: Pair) -> None:
    """Writes what is missing of a pair, the key first: a certificate without its key would look like an external CA's."""
    key, certificate = contents(context, entry, pair)
    context.tree.folder(key.path.rpartition("/")[0], mode=_FOLDER_MODE)
    ours: Stamp | None = None
    if not holds_key(context, key.path, pair.key):
        context.tree.create(key.path, key.content, mode=key.mode, secret=True)
        ours = context.tree.stamp(key.path)
    try:
        context.tree.create(certificate.path, certificate.content, mode=certificate.mode)
    except HostError:
        if entry.is_ca and ours is not None:
            # On a full disk. A CA's key alone would be taken for that of a cluster whose certificate was lost.
            with suppress(HostError):
                context.tree.remove_if(key.path, ours)
        raise


def refuse_another_writer(context: Context, name: str, files: Iterable[NewContent]) -> None:
    """Raises `HostError` unless all that was written is there. No lock keeps kubeadm out, and two runs that write the two files
    of a pair in turn leave the key of one with the certificate of the other: a component that starts then ends at once."""
    if any(context.tree.read(file.path) != file.content for file in files):
        raise HostError(
            f"another program wrote the files of {name} meanwhile: its key and its certificate may not belong together",
            advice="let the other program end, then run the same command again",
        )


def contents(context: Context, entry: Entry, pair: Pair) -> tuple[NewContent, NewContent]:
    """Returns both files of a pair, the key first."""
    certificate_path, key_path = files(context, entry)
    return (
        NewContent(key_path, pair.key_pem().reveal(), KEY_MODE),
        NewContent(certificate_path, pair.certificate_pem(), CERTIFICATE_MODE),
    )


def leaf_validity(context: Context) -> timedelta:
    period = context.cluster.certificate_validity_period
    return timedelta(seconds=period.seconds if period else 365 * 86400)


def _ca_validity(context: Context) -> timedelta:
    period = context.cluster.ca_certificate_validity_period
    return timedelta(seconds=period.seconds if period else 3650 * 86400)


def ensure_sa(context: Context) -> None:
    """Ensures the key that signs service account tokens. An existing one is kept; `sa.pub` is made where it is missing."""
    private, public = context.pki(SA_KEY), context.pki(SA_PUB)
    pem = context.tree.read(private)
    if pem is not None:
        key = parse_key(pem, private)
        context.say(PHASE, 'Using the existing "sa" key')
        if context.tree.read(public) is not None:
            return
    elif context.tree.read(public) is not None:
        # With only the public half this node verifies tokens, and the key that signs them is elsewhere: not an error.
        context.say(PHASE, 'Using the existing "sa" public key')
        return
    else:
        context.say(PHASE, 'Generating "sa" key and public key')
        key = context.keys.take(key_kind(context))
        context.tree.folder(context.cluster.certificates_dir, mode=_FOLDER_MODE)
        context.tree.create(private, key_pem(key).reveal(), mode=KEY_MODE, secret=True)
    context.tree.create(public, public_key_pem(key), mode=KEY_MODE)


def _refused(context: Context, entry: Entry, what: str) -> PreflightFailed:
    """Returns the refusal of a pair that another one has to replace. A renewal would not do: it keeps names and usages."""
    both = " and ".join(files(context, entry))
    if entry.is_ca:
        advice = remedy(context, entry)
    else:
        advice = f"move {both} to another folder, or correct the configuration; then run the same command again"
    return _refusal(what, advice)


def _refusal(what: str, advice: str) -> PreflightFailed:
    return PreflightFailed(what, state="the existing files were left as they are, and none was added", advice=advice)
