"""What init's file-writing phases leave in a folder, so that two runs can be compared: secrets and dates left out."""

from __future__ import annotations

import base64
import difflib
import stat
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def snapshot(root: Path) -> dict[str, Any]:
    """Every file below /etc/kubernetes and /var/lib/kubelet by its path: mode, and content or what it says."""
    found: dict[str, Any] = {}
    for top in ("etc/kubernetes", "var/lib/kubelet"):
        for path in sorted((root / top).rglob("*")):
            name = "/" + str(path.relative_to(root))
            if "/tmp" in name:
                continue
            mode = stat.filemode(path.stat().st_mode)
            found[name] = (mode, None) if path.is_dir() else (mode, _content(path))
    return found


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".crt":
        return certificate_fields(x509.load_pem_x509_certificate(data))
    if path.suffix in (".key", ".pub"):
        return data.splitlines()[0].decode()
    if path.suffix == ".conf":
        return _kubeconfig(data)
    return data.decode()


def _kubeconfig(data: bytes) -> Any:
    config = yaml.safe_load(data)
    for cluster in config["clusters"]:
        cluster["cluster"].pop("certificate-authority-data", None)
    for user in config["users"]:
        pem = base64.b64decode(user["user"].pop("client-certificate-data"))
        user["user"].pop("client-key-data")
        user["certificate"] = certificate_fields(x509.load_pem_x509_certificate(pem))
    return config


def certificate_fields(certificate: x509.Certificate) -> dict[str, Any]:
    """All that a certificate says but for serial, key and dates; of the dates, how long it is valid."""
    key = certificate.public_key()
    kind = f"RSA-{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind = f"ECDSA-{key.curve.name}"
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "key": kind,
        # Two runs differ by seconds, and leaves begin when their CA began.
        "minutes": round(lasts.total_seconds() / 60),
        "signature": certificate.signature_hash_algorithm.name if certificate.signature_hash_algorithm else "",
        "extensions": {ext.oid._name: (ext.critical, _value(ext)) for ext in certificate.extensions},
    }


def _value(extension: x509.Extension[Any]) -> Any:
    match extension.value:
        case x509.SubjectAlternativeName() as names:
            return [f"{type(name).__name__}:{name.value}" for name in names]
        case x509.ExtendedKeyUsage() as usages:
            return [usage._name for usage in usages]
        case x509.KeyUsage() as usage:
            return (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign, usage.crl_sign)
        case x509.BasicConstraints() as constraints:
            return (constraints.ca, constraints.path_length)
        case _:
            return "present"


def differences(wanted: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Readable lines, kubeadm's first; empty when the two are alike."""
    rows = [f"only kubeadm writes {path}" for path in wanted.keys() - got.keys()]
    rows += [f"only quorate writes {path}" for path in got.keys() - wanted.keys()]
    for path in sorted(wanted.keys() & got.keys()):
        rows += _unlike(path, wanted[path], got[path])
    return rows


def _unlike(path: str, one: Any, other: Any) -> list[str]:
    if one == other:
        return []
    if isinstance(one, str) and isinstance(other, str) and "\n" in one:
        lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "kubeadm", "quorate", lineterm="", n=1)
        return [path, *(f"    {line}" for line in lines)]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        return [row for key in keys for row in _unlike(f"{path} {key}", one.get(key), other.get(key))]
    if isinstance(one, tuple | list) and isinstance(other, tuple | list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [row for number, (left, right) in pairs for row in _unlike(f"{path}[{number}]", left, right)]
    return [f"{path}: kubeadm {one!r}, quorate {other!r}"]
