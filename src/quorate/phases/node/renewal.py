"""Renews certificates, and reports when they expire."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from quorate.errors import ConfigError, HostError, PreflightFailed, QuorateError, Refused, foreseen
from quorate.phases.base.context import Context
from quorate.phases.node import certs, kubeconfigs
from quorate.phases.node.shared_files import each_once
from quorate.pki import kubeconfig
from quorate.pki.certificates import Certificate, KeyKind, Pair, certificate_pem, kind_of, make_key, nearest_kind, renew_leaf
from quorate.pki.kubeconfig import Identity
from quorate.pki.kubeconfig_files import complete, embeds_its_certificate
from quorate.pki.store import any_key, has_issued, holds, others_of, parse_certificate
from quorate.pki.table import Entry, entries
from quorate.report import Notice
from quorate.tree import NewContent

_OF_ETCD = ("etcd-server", "etcd-peer")
_READERS = {
    "admin.conf": "",
    "super-admin.conf": "",
    "etcd-healthcheck-client": "",
    "controller-manager.conf": "kube-controller-manager",
    "scheduler.conf": "kube-scheduler",
}
"""Who reads a certificate at its start; empty for those that are read at each use."""

_IN_A_FILE = "its certificate is in a file that it names, which somebody else renews"
_CONFS = ("admin.conf", "controller-manager.conf", "scheduler.conf", "super-admin.conf")


@dataclass(frozen=True, slots=True)
class Expiry:
    """One row of the report. `expires` is None where the certificate is missing, or cannot be read; `unreadable`: why not,
    else empty; `unfit`: why its key is of no use for it, else empty; `fix`: what to do in both cases; `external`: its CA's key
    is not here, or it is in a file that a kubeconfig names, so it is renewed elsewhere; `authority`: the CA's name, empty for a
    CA."""

    name: str
    expires: datetime | None
    authority: str = ""
    external: bool = False
    unreadable: str = ""
    unfit: str = ""
    fix: str = ""

    def left(self, now: datetime) -> timedelta | None:
        return self.expires - now if self.expires else None


def renewable(context: Context) -> list[str]:
    """Returns the names that `renew` takes: leaf certificates, and kubeconfig files of this version."""
    leaves = [entry.name for entry in entries(context.cluster, context.node) if not entry.is_ca]
    known = {f"{file.name}.conf" for file in kubeconfigs.files(context)}
    return sorted([*leaves, *(name for name in _CONFS if name in known)])


def expiries(context: Context) -> tuple[list[Expiry], list[Expiry]]:
    """Returns the rows of leaves and kubeconfig files, and those of CAs, each sorted by name."""
    table = {entry.name: entry for entry in entries(context.cluster, context.node)}
    leaves = [_leaf_expiry(context, name, table) for name in renewable(context)]
    return leaves, [_ca_expiry(context, entry) for entry in sorted(table.values(), key=lambda one: one.name) if entry.is_ca]


def _leaf_expiry(context: Context, name: str, table: dict[str, Entry]) -> Expiry:
    ca = table[table[name].signer] if name in table else table["ca"]
    try:
        external = not certs.has_key(context, ca) and context.tree.read(certs.files(context, ca)[0]) is not None
        external = external or _is_in_a_file(context, name)
        certificate = _certificate(context, name, table)
        unfit = _unfit(context, table[name], certificate) if name in table and certificate else ""
    except (ConfigError, HostError) as error:
        # One that is broken says nothing of the others.
        return Expiry(name, None, ca.name, unreadable=error.what, fix=error.own_advice or _fix(context, error, name, table))
    expires = certificate.not_valid_after_utc if certificate else None
    fix = "renew it where its CA's key is" if external else context.this_node.command("certs", "renew", name)
    return Expiry(name, expires, ca.name, external, unfit=unfit, fix=fix if unfit else "")


def _unfit(context: Context, entry: Entry, certificate: Certificate) -> str:
    """Returns why the key is of no use for its certificate; empty where it is, or is not here. A renewal that was killed
    between the two files leaves such a pair, and whoever reads it ends at the next start."""
    path, key_path = certs.files(context, entry)
    try:
        pem = context.tree.read(key_path)
    except HostError as error:
        # Whoever only watches may read certificates, and no keys.
        context.report(Notice(f"{path} was not compared with its key: {error.what}", "warning"))
        return ""
    try:
        is_fit = pem is None or any_key(pem, key_path).public_key() == certificate.public_key()
    except ConfigError as error:
        return error.what
    return "" if is_fit else f"{key_path} does not belong to {path}"


def _ca_expiry(context: Context, entry: Entry) -> Expiry:
    path = certs.files(context, entry)[0]
    try:
        pem = context.tree.read(path)
        if pem is None:
            return Expiry(entry.name, None)
        certificate = parse_certificate(pem, path)
        unfit = _unfit(context, entry, certificate)
        fix = certs.remedy_of_key(context, entry) if unfit else ""
        external = not certs.has_key(context, entry)
        return Expiry(entry.name, certificate.not_valid_after_utc, "", external, unfit=unfit, fix=fix)
    except (ConfigError, HostError) as error:
        return Expiry(
            entry.name,
            None,
            unreadable=error.what,
            fix=error.own_advice or _fix(context, error, entry.name, {entry.name: entry}),
        )


def refuse_unfit(rows: Iterable[Expiry]) -> None:
    """Raises `HostError` for certificates that cannot be read, and for those whose key is of no use, with the command that
    makes each of them anew."""
    broken = [one for one in rows if one.unreadable or one.unfit]
    if broken:
        raise HostError(
            "; ".join(dict.fromkeys(one.unreadable or one.unfit for one in broken)),
            state="nothing was changed",
            advice="; ".join(dict.fromkeys(one.fix for one in broken)),
        )


def _fix(context: Context, error: QuorateError, name: str, table: dict[str, Entry]) -> str:
    if isinstance(error, HostError):
        return "fix what is named" if os.geteuid() == 0 else "run this as root, or fix what is named"
    if name in table:
        return certs.remedy(context, table[name])
    return certs.anew(context, "kubeconfig", name.removesuffix(".conf"), f"{context.config_folder}/{name}")


def _certificate(context: Context, name: str, table: dict[str, Entry]) -> Certificate | None:
    if name in table:
        path = certs.files(context, table[name])[0]
        pem = context.tree.read(path)
        return parse_certificate(pem, path) if pem is not None else None
    path = f"{context.config_folder}/{name}"
    content = context.tree.read(path)
    if content is None:
        return None
    pem = complete(kubeconfig.parse(content, path), path, context.tree.read).certificate_pem
    # A kubeconfig with a token has no certificate.
    return parse_certificate(pem, path) if pem else None


def _readable(context: Context, name: str, table: dict[str, Entry]) -> Certificate | None:
    """Returns the certificate. Raises `ConfigError` for one that cannot be read, with the advice that the report of expiries
    gives."""
    try:
        return _certificate(context, name, table)
    except ConfigError as error:
        error.own_advice = error.own_advice or _fix(context, error, name, table)
        raise


def _is_in_a_file(context: Context, name: str) -> bool:
    """Returns whether a kubeconfig names a file with its certificate, which whoever writes that file renews."""
    path = f"{context.config_folder}/{name}"
    content = context.tree.read(path) if name in _CONFS else None
    return content is not None and not embeds_its_certificate(kubeconfig.parse(content, path))


Terms: TypeAlias = Callable[[Context, Certificate], tuple[KeyKind, timedelta]]
"""The kind of key and the validity that a renewed certificate gets."""


def as_configured(context: Context, _old: Certificate) -> tuple[KeyKind, timedelta]:
    """Returns what the configuration says."""
    return certs.key_kind(context), certs.leaf_validity(context)


def as_it_was(context: Context, old: Certificate) -> tuple[KeyKind, timedelta]:
    """Returns what the certificate itself says, where no configuration was given: its kind of key, and no earlier end. When it
    was issued is not in it: a renewed one begins with its CA."""
    return kind_of(old) or nearest_kind(old), max(certs.leaf_validity(context), old.not_valid_after_utc - context.now)


def _changed(old: Certificate, new: Certificate) -> str:
    """Returns what a renewed certificate has less of, or otherwise, than before; empty for nothing. It is what the
    configuration asks for, and still nobody expects it of a renewal."""
    words = []
    if kind_of(old) != kind_of(new):
        words.append("another kind of key")
    if new.not_valid_after_utc < old.not_valid_after_utc:
        words.append(f"an earlier end (it was {old.not_valid_after_utc:%b %d, %Y})")
    return " and ".join(words)


def renew_all(context: Context, terms: Terms = as_configured) -> list[str]:
    """Renews every certificate that exists; returns their names. One that is missing, or whose CA's key is not here, is
    reported and skipped. Raises `Refused` when none was renewed, `HostError` for one that cannot be read."""
    chosen: list[str] = []
    rows = expiries(context)[0]
    # One whose key does not fit is made anew as a whole.
    refuse_unfit(one for one in rows if one.unreadable)
    for expiry in rows:
        if expiry.expires is None:
            context.say("renew", f"MISSING! {expiry.name}: left alone")
        elif expiry.external:
            context.say("renew", f"{expiry.name}: {_why_external(context, expiry.name)}; left alone")
        else:
            chosen.append(expiry.name)
    if not chosen:
        raise Refused(
            "nothing was renewed: each certificate is missing, or its CA's key is not on this host",
            state="nothing was changed",
            advice=f"run this where the CA's key is, or have certificates signed there: {certs.request(context)}",
        )
    _renew_each(context, chosen, terms)
    return chosen


def _why_external(context: Context, name: str) -> str:
    return _IN_A_FILE if _is_in_a_file(context, name) else "its CA's key is not on this host"


def users_of(names: Iterable[str]) -> list[str]:
    """Returns the components that read these certificates when they start, in kubeadm's order."""
    readers = {_READERS.get(name, "etcd" if name in _OF_ETCD else "kube-apiserver") for name in names}
    return [one for one in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd") if one in readers]


def renew(context: Context, name: str, terms: Terms = as_configured) -> None:
    """Writes a new key, and a certificate with the content of the old one. Raises `PreflightFailed` when there is no old one,
    the CA's key is not here, or what the CA signs would not verify."""
    _renew_each(context, [name], terms)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A renewed certificate that is not written yet. `ca_path`, `ca`: the CA that signed it."""

    name: str
    old: Certificate
    new: Certificate
    files: tuple[NewContent, ...]
    ca_path: str
    ca: Certificate


def _renew_each(context: Context, names: Sequence[str], terms: Terms) -> None:
    """Signs all of them, and then writes: what can be wrong with a CA is found before the first is replaced. An error after
    that says which were."""
    fresh: list[_Fresh] = []
    done: list[str] = []
    try:
        fresh += [_fresh(context, name, terms) for name in each_once(context, names, renewable(context))]
        for one in fresh:
            _refuse_another_ca(context, one)
            context.tree.exchange(*one.files)
            certs.refuse_another_writer(context, one.name, one.files)
            # Again: this process may have been suspended between the look at the CA and the last file.
            _refuse_another_ca(context, one)
            done.append(one.name)
            _say_renewed(context, one, terms)
    except (QuorateError, KeyboardInterrupt) as error:
        known = foreseen(error)
        known.state = _halfway(done, names, [one.name for one in fresh[len(done) :] if _is_begun(context, one)])
        raise known from error


def _refuse_another_ca(context: Context, one: _Fresh) -> None:
    """Raises `HostError` when the CA was replaced since it signed: this run may have been suspended in between."""
    if not holds(context.tree.read(one.ca_path) or b"", one.ca):
        raise HostError(
            f"{one.ca_path} was replaced while {one.name} was renewed: it did not sign the new certificate",
            advice="run the same command again",
        )


def _is_begun(context: Context, one: _Fresh) -> bool:
    """Returns whether a file that this run wrote is there."""

    def is_ours(file: NewContent) -> bool:
        try:
            return context.tree.read(file.path) == file.content
        except HostError:
            return False

    return any(is_ours(file) for file in one.files)


def _halfway(done: Sequence[str], names: Sequence[str], doubtful: Sequence[str]) -> str:
    """Returns what was renewed. `doubtful`: what was written, and is not known to be whole."""
    if doubtful:
        return f"do not restart what reads {', '.join(doubtful)} now; renewed: {', '.join(done) or 'nothing else'}"
    if not done:
        return "nothing was changed"
    users = users_of(done)
    restart = f"; restart {', '.join(users)}, which may still use the old ones" if users else ""
    left = [name for name in names if name not in done]
    return f"renewed: {', '.join(done)}{restart}; not renewed: {', '.join(left) or 'none'}"


def _fresh(context: Context, name: str, terms: Terms) -> _Fresh:
    table = {entry.name: entry for entry in entries(context.cluster, context.node)}
    paths = certs.files(context, table[name]) if name in table else (f"{context.config_folder}/{name}",)
    # Before anything else is read of them: what is written later is based on this.
    before = {path: context.tree.read(path) for path in paths}
    old = _readable(context, name, table)
    if old is None:
        raise PreflightFailed(
            f"{name} is missing: there is nothing to renew",
            state="nothing was changed",
            advice=f"{context.this_node.command('certs', 'check-expiration')}    # shows those that there are",
        )
    if _is_in_a_file(context, name):
        raise PreflightFailed(f"{name}: {_IN_A_FILE}", state="nothing was changed", advice="renew it where it is made")
    ca = table[table[name].signer] if name in table else table["ca"]
    signer = certs.read_pair(context, ca)
    kind, validity = terms(context, old)
    path = paths[0]
    pair = certs.signed(
        context, path, signer, lambda by: renew_leaf(old, by, now=context.now, validity=validity, key=make_key(kind))
    )
    made = _pair(context, table[name], pair, before) if name in table else (_conf(context, path, pair),)
    written = tuple(replace(file, instead_of=before[file.path]) for file in made)
    ca_path = certs.files(context, ca)[0]
    return _Fresh(name, old, pair.certificate, written, ca_path, signer.certificate)


def _pair(context: Context, entry: Entry, pair: Pair, before: Mapping[str, bytes | None]) -> tuple[NewContent, ...]:
    """Returns both files."""
    key, certificate = certs.contents(context, entry, pair)
    chain = _chain(context, certificate.path, before[certificate.path] or b"", pair)
    return key, replace(certificate, content=certificate.content + chain)


def _chain(context: Context, path: str, before: bytes, pair: Pair) -> bytes:
    """Returns the certificates between a renewed one and a root that stood behind the old one: who trusts the root alone finds
    no way to it without them. Those that did not sign the new one are left out, and that is said."""
    chain = others_of(before)
    # In any order: who checks it looks for the next one by its name.
    if chain and not any(has_issued(one, pair.certificate) for one in chain):
        text = f"{path} holds {len(chain)} more, of another CA than signs the new one: they are left out"
        context.report(Notice(text, "warning"))
        return b""
    return b"".join(map(certificate_pem, chain))


def _say_renewed(context: Context, one: _Fresh, terms: Terms) -> None:
    old, new = (f"{end.not_valid_after_utc:%b %d, %Y %H:%M UTC}" for end in (one.old, one.new))
    planned = f"{one.name} would be renewed: it ends {old}, the new one would end {new}"
    context.say("renew", planned if context.dry_run else f"{one.name} is renewed until {new}")
    changed = _changed(one.old, one.new)
    if changed:
        has = "would have" if context.dry_run else "has"
        why = ", as the configuration says" if terms is as_configured else ""
        context.report(Notice(f"{one.name} {has} {changed}{why}", "warning"))


def _conf(context: Context, path: str, pair: Pair) -> NewContent:
    """Returns the file with another certificate, its key, and the CA that the file trusts: with another CA in its place a file
    that kept the old one let nobody in (kubeadm#2027). Everything else in the file stays."""
    content = context.tree.read(path)
    assert content is not None
    parsed = kubeconfig.parse(content, path)
    trusting = kubeconfig.with_authority(parsed, kubeconfigs.ca_pem(context) + _also_trusted(context, parsed))
    identity = Identity(parsed.user, pair, chain=_chain(context, path, parsed.certificate_pem, pair))
    return NewContent(path, kubeconfig.with_identity(trusting, identity), kubeconfig.MODE)


def _also_trusted(context: Context, parsed: kubeconfig.Parsed) -> bytes:
    """Returns the other CAs of the cluster's ca.crt that the file trusts: while a CA is replaced both are there, and servers
    have certificates of the old one. kubeadm leaves it out."""
    whole = context.tree.read(context.pki("ca.crt")) or b""
    return b"".join(certificate_pem(one) for one in others_of(whole) if holds(parsed.ca_pem, one))
