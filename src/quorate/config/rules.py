"""Rules for single fields: names, addresses, ports, subnets, tokens. Each returns what is wrong, or None."""

from __future__ import annotations

import ipaddress
import re

from quorate.foreign.addresses import read_address, without_leading_zeros
from quorate.foreign.numbers import whole
from quorate.foreign.urls import BadUrl, split, without_login

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_WILDCARD = re.compile(rf"\*\.{_LABEL}(?:\.{_LABEL})*")
_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_MOST_PORT = 65535
_LIKE_A_HOST = re.compile(r"[^\s:/\[\]]+")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_HOST}|(?:{_HOST}/)?{_PART}(?:/{_PART})*")
"""A registry alone is allowed: the image's name follows it."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def subdomain(text: str) -> str | None:
    """Checks a DNS-1123 name, as Kubernetes requires it for nodes and domains."""
    if len(text) <= 253 and _SUBDOMAIN.fullmatch(text):
        return None
    return f"{text!r} is not a DNS name: lower-case letters, digits, - and ., beginning and ending with a letter or digit"


def is_address(text: str) -> bool:
    """Returns whether a text is an IP address as the components read it."""
    return read_address(text) is not None


def alternative_name(text: str) -> str | None:
    """Checks a subject alternative name: a DNS name, one with a leading wildcard, or an address."""
    if is_address(text) or _WILDCARD.fullmatch(text) or subdomain(text) is None:
        return None
    return f"{text!r} is neither a DNS name, nor one with a leading *., nor an IP address"


def port(number: int) -> str | None:
    return None if 0 < number <= _MOST_PORT else f"{number} is not a port: 1 to 65535"


def advertised(text: str) -> str | None:
    """Checks an address that other nodes can reach: not loopback, unspecified, multicast or link-local."""
    address = read_address(text)
    if address is None:
        return f"{text!r} is not an IP address"
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        return f"{text} cannot be reached by other nodes: use an address of this host's network"
    return None


def endpoint(text: str) -> str | None:
    """Checks HOST or HOST:PORT. HOST is a DNS name or an address (IPv6 in brackets). The port may be empty, as for kubeadm."""
    if is_address(text):
        return None
    host, number = split_endpoint(text)
    if number and not whole(number, _MOST_PORT):
        return f"{without_login(text)!r}: {without_login(number)!r} is not a port: 1 to 65535"
    return None if is_address(host) or subdomain(host) is None else _why_no_host(host, text)


def _why_no_host(host: str, given: str) -> str:
    text, host = without_login(given), without_login(host)
    if "://" in text:
        return f"{text!r} is a URL: give HOST or HOST:PORT, without {text.partition('://')[0]}://"
    if host.lower() != host and subdomain(host.lower()) is None:
        return f"{text!r} has capital letters, which RFC 1123 does not allow: write {text.lower()}"
    if not _LIKE_A_HOST.fullmatch(host):
        return f"{text!r} is not of the form HOST or HOST:PORT"
    return f"{text!r}: {subdomain(host)} (RFC 1123)"


def discovery_endpoint(text: str) -> str | None:
    """Checks HOST:PORT of an API server that is only asked, in no manifest and no certificate. Resolvers and TLS take capital
    letters and underscores, and so does kubeadm."""
    host, number = split_endpoint(text)
    if number is None:
        shown = without_login(text)
        return f"{shown!r} is a URL: give HOST:PORT" if "://" in text else f"{shown!r} is not of the form HOST:PORT"
    plain = f"[{host}]" if ":" in host else host.lower().replace("_", "-").removesuffix(".")
    return None if endpoint(f"{plain}:{number}") is None else endpoint(text)


def split_endpoint(text: str) -> tuple[str, str | None]:
    """Returns the host without brackets, and the port when there is one. A text that has anything else between `]` and the port
    is no endpoint, and is returned whole."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        # [fd00::1]x:6443 was checked, and used, without the x.
        return (host, rest[1:] or ("" if rest else None)) if not rest or rest.startswith(":") else (text, None)
    if text.count(":") == 1:
        host, _, number = text.partition(":")
        return host, number
    return text, None


def networks(text: str) -> list[Network]:
    """Returns one network, or two of different families. Raises ValueError, which says what is wrong."""
    parts = text.split(",")
    found = [_network(part.strip()) for part in parts]
    if len(found) > 2:
        raise ValueError(f"{text!r} names {len(found)} subnets: one, or two for dual-stack")
    if len(found) == 2 and found[0].version == found[1].version:
        raise ValueError(f"{text!r}: two subnets must be one of IPv4 and one of IPv6")
    return found


def _network(text: str) -> Network:
    address, _, length = text.partition("/")
    try:
        # Python also takes masks (/255.240.0.0), their inverse and zones; kube-apiserver ends with them.
        if whole(length, 128) is None or not is_address(address):
            raise ValueError(text)
        return ipaddress.ip_network(f"{without_leading_zeros(address)}/{length}", strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a subnet such as 10.96.0.0/12") from None


def token(text: str) -> str | None:
    """Checks a bootstrap token. Never repeats the text: half of it is a secret."""
    return None if _TOKEN.fullmatch(text) else "this is not a bootstrap token: six and sixteen of a-z0-9, with a dot between"


def token_group(text: str) -> str | None:
    return None if _GROUP.fullmatch(text) else f"{text!r} is not a group of bootstrappers (system:bootstrappers:NAME)"


def certificate_key(text: str) -> str | None:
    """Checks a certificate key. Never repeats the text: it is a secret."""
    return None if _KEY.fullmatch(text) else "this is not a certificate key: 64 hex digits"


def absolute(text: str) -> str | None:
    return None if text.startswith("/") else f"{text!r} is not an absolute path"


def socket(text: str) -> str | None:
    """Checks the URL of a unix socket. kubeadm puts unix:// before any path; we refuse a relative one, and a host, which would
    be its first folder."""
    try:
        parts = split(text)
    except BadUrl as error:
        return f"{without_login(text)!r} is not the URL of a socket: {error}"
    if parts.scheme == "unix" and not parts.host and parts.path.startswith("/"):
        return None
    return f"{without_login(text)!r} is not the URL of a socket, such as unix:///var/run/containerd/containerd.sock"


def https_file(text: str) -> str | None:
    """Checks where a discovery file is: an absolute path, or an https URL. Never repeats a URL: it may hold a password."""
    if text.startswith("/"):
        return None
    try:
        parts = split(text)
    except BadUrl as error:
        return f"this is neither an absolute path nor an https URL: {error}"
    return None if parts.scheme == "https" and parts.host else "this must be an absolute path or an https URL"


def etcd_endpoint(text: str) -> str | None:
    """Checks the URL of an external etcd. Never repeats a user or a password."""
    shown = without_login(text)
    try:
        parts = split(text)
    except BadUrl as error:
        return f"{shown!r} is not a URL such as https://10.0.0.1:2379: {error}"
    if parts.scheme in ("http", "https") and parts.host:
        return None
    return f"{shown!r} is not a URL such as https://10.0.0.1:2379"


def repository(text: str) -> str | None:
    return None if _REPOSITORY.fullmatch(text) else f"{text!r} is not an image repository"
