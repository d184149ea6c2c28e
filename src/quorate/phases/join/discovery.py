"""Finds the cluster to join and establishes trust in it: by a token that has signed cluster-info, or by a file."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass

from quorate.config import types as v4
from quorate.core.ids import url_host
from quorate.deadline import Deadline, SystemClock
from quorate.errors import ConfigError, PreflightFailed
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.http import Connection, HttpFailed, Request, site_of, split_url
from quorate.foreign.urls import UrlParts, login_of, parts_of
from quorate.foreign.values import mapping_of, rows_of, text_of
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.kube.errors import Denied, KubeError, NotFound, Unreachable, Untrusted
from quorate.kube.tokens import Token, is_signed
from quorate.phases.base.heartbeat import Heartbeat
from quorate.pki import kubeconfig
from quorate.pki.kubeconfig_files import complete, refuse_what_is_not_done
from quorate.pki.sealing import pinned, pins_of
from quorate.report import PhaseReport
from quorate.secret import Secret
from quorate.tree import Tree

PHASE = "discovery"
_POLL_SECONDS = 0.5
_SIGNING_SECONDS = 30.0
"""A controller manager that leads signs within a second. Where the leader has died, another one leads after the lease of 15 s
and takes some more seconds to start. A token without a signature after that is unknown to the cluster."""

_STARTING_SECONDS = 15.0

_MOST_BYTES = 1 << 20
_FETCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """A cluster that was found: its URL, its CA, and the credentials to use until this node has its own certificate."""

    url: str
    ca_pem: bytes
    token: Secret[str]
    certificate_pem: bytes = b""
    key_pem: Secret[bytes] | None = None

    def server(self, url: str = "") -> Server:
        return Server(url or self.url, tls.context(self.ca_pem, self.certificate_pem, self.key_pem), self.token)


@dataclass(frozen=True, slots=True)
class Search:
    """The limits of a search for a cluster: it takes at most `seconds` and reports its progress to `report`."""

    seconds: float
    clock: SystemClock
    report: PhaseReport


def discover(given: v4.Discovery, tree: Tree, search: Search) -> Found:
    """Returns the cluster to join. Raises `PreflightFailed` when it cannot be trusted or does not answer in time,
    `ConfigError` for bad input."""
    token = Secret(given.tls_bootstrap_token)
    if given.bootstrap_token is not None:
        return _by_token(given.bootstrap_token, token, search)
    assert given.file is not None
    return _by_file(given.file.kube_config_path, token, tree, search)


def _by_token(given: v4.BootstrapTokenDiscovery, login: Secret[str], search: Search) -> Found:
    url, token = f"https://{given.api_server_endpoint}", Token.parse(given.token)
    content = _wait_for_info(url, token, search)
    cluster = _only_cluster(content)
    found = Found(cluster.server, cluster.ca_pem, login)
    if given.ca_cert_hashes:
        trusted = pinned(cluster.ca_pem, given.ca_cert_hashes)
        pins = pins_of(cluster.ca_pem)
        if not trusted:
            raise _distrusted(f"the hash of its CA is {', '.join(pins)}, and none of the given hashes matches")
        others = [pin for pin in pins if pin not in {one.lower() for one in given.ca_cert_hashes}]
        _check_again(Found(url, trusted, Secret("")), content, others, search.clock)
    return found


def _wait_for_info(url: str, token: Token, search: Search) -> str:
    """Waits until the token has signed cluster-info, and returns it. The server is not verified meanwhile."""
    deadline = Deadline(search.clock, search.seconds, f"cluster-info of {url}")
    heartbeat = Heartbeat(search.clock, search.report, f"cluster-info of {url}", search.seconds)
    client = KubeClient(Server(url, tls.unverified()), search.clock, patience=0.0)
    starting = Deadline(search.clock, _STARTING_SECONDS, "its API server has started")
    signing: Deadline | None = None
    with client.connected():
        while True:
            data, why = _info(client, deadline, starting)
            content, signature = data.get("kubeconfig", ""), data.get(f"jws-kubeconfig-{token.id}")
            if signature:
                if not is_signed(content, signature, token):
                    raise _distrusted("the signature of its cluster-info does not match the token")
                return content
            if signing is None and any(key.startswith("jws-kubeconfig-") for key in data):
                signing = Deadline(search.clock, _SIGNING_SECONDS, "this token has a signature, as others have")
            if deadline.expired or (signing is not None and signing.expired):
                raise PreflightFailed(
                    f"the token {token.id!r} is unknown to the cluster or has expired: cluster-info has no signature of it",
                    state="nothing was changed",
                    advice="create one on a control-plane node: quorate token create --print-join-command",
                )
            heartbeat.beat(why or "it has no signature of the token yet")
            search.clock.sleep(_POLL_SECONDS)


def _info(client: KubeClient, deadline: Deadline, starting: Deadline) -> tuple[dict[str, str], str]:
    """Returns the data of cluster-info; or no data and the reason, while asking again may help. An API server that has just
    started denies users that it does not know yet, and init creates cluster-info near its end. Raises `PreflightFailed`."""
    try:
        return _texts(client.get("ConfigMap", "cluster-info", "kube-public").get("data")), ""
    except KubeError as error:
        patience = deadline if isinstance(error, Unreachable) else starting
        if isinstance(error, Unreachable | Denied | NotFound) and not patience.expired:
            return {}, error.what
        if isinstance(error, NotFound):
            raise _distrusted("it has no cluster-info, so no token can be used with this cluster") from None
        raise PreflightFailed(
            error.what,
            state="nothing was changed",
            advice="check the endpoint, the network to it, and that the API server runs",
        ) from None


def _texts(data: object) -> dict[str, str]:
    """Returns the data of a ConfigMap from a server that is not trusted yet, without values that are not text."""
    rows = data.items() if isinstance(data, dict) else ()
    return {key: value for key, value in rows if isinstance(key, str) and isinstance(value, str)}


def _check_again(found: Found, content: str, others: list[str], clock: SystemClock) -> None:
    """Reads cluster-info again from a server whose certificate a pinned CA has signed: what that connection delivers is
    trusted, the whole bundle too. `others`: pins of the bundle that were not given. They are not trusted before: anyone who
    knows a token can sign a bundle of the pinned CA and a CA of their own."""
    client = KubeClient(found.server(), clock, patience=10.0)
    with client.connected():
        try:
            again = client.get("ConfigMap", "cluster-info", "kube-public")
        except Untrusted as error:
            missing = f". Its CA may be one without a given hash: {', '.join(others)}" if others else ""
            raise _distrusted(f"{error.what}. {error.advice}{missing}") from None
    if mapping_of(again.get("data")).get("kubeconfig") != content:
        raise _distrusted("its cluster-info over verified TLS differs from the one before")


def _only_cluster(content: str) -> kubeconfig.Parsed:
    """Returns the cluster of a cluster-info that a token has signed: only its address and its CA are taken from it."""
    try:
        rows = rows_of(read_mapping(content.encode(), "cluster-info").get("clusters"))
    except BadDocument as error:
        raise _distrusted(error.what) from None
    if len(rows) != 1:
        raise _distrusted("its cluster-info does not name exactly one cluster")
    cluster = mapping_of(rows[0].get("cluster"))
    server, ca = text_of(cluster.get("server")), text_of(cluster.get("certificate-authority-data"))
    _refuse_insecure(server)
    data = {
        "kind": "Config",
        "clusters": [{"name": "kubernetes", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "contexts": [{"name": "x", "context": {"cluster": "kubernetes"}}],
        "current-context": "x",
    }
    return kubeconfig.parse(kubeconfig.dump(data), "cluster-info")


def _refuse_insecure(server: str) -> None:
    """Raises `PreflightFailed` for an address without https: the bootstrap token is sent there."""
    try:
        scheme = split_url(server).scheme
    except HttpFailed as error:
        raise _distrusted(f"the address in its cluster-info cannot be used: {error.what}") from None
    if scheme != "https":
        raise _distrusted("the address in its cluster-info is not https")


def _distrusted(why: str) -> PreflightFailed:
    return PreflightFailed(
        f"the API server cannot be trusted: {why}",
        state="nothing was changed",
        advice="check the endpoint, the token and the hash of the CA; print them on a control-plane node: "
        "quorate token create --print-join-command",
    )


def _by_file(where: str, token: Secret[str], tree: Tree, search: Search) -> Found:
    """Returns the cluster of a discovery file. `where` may hold a password, as https://USER:PASSWORD@HOST/: a URL is never
    shown in full."""
    fetched = parts_of(where).scheme == "https"
    named = "the discovery file" if fetched else f"the discovery file {where}"
    content = _fetch(where, search) if fetched else tree.read(where)
    if content is None:
        raise ConfigError(f"{named} does not exist")
    parsed = kubeconfig.parse(content, named)
    refuse_what_is_not_done(parsed, named)
    # What another host has sent names no files of this one.
    parsed = parsed if fetched else complete(parsed, where, tree.read)
    if not parsed.ca_pem or parts_of(parsed.server).scheme != "https":
        raise ConfigError(f"{named} lacks the cluster's CA or its https address")
    login = token if token.reveal() else parsed.token
    if not login.reveal() and not parsed.certificate_pem:
        raise ConfigError(f"{named} has no credentials: give --tls-bootstrap-token")
    return Found(parsed.server, parsed.ca_pem, login, parsed.certificate_pem, parsed.key_pem)


def _unread(host: str, why: str) -> PreflightFailed:
    return PreflightFailed(
        f"the discovery file at {host} cannot be read: {why}",
        state="nothing was changed",
        advice="correct --discovery-file, or let that server answer; a copy of the file on this host does as well",
    )


def _fetch(url: str, search: Search) -> bytes:
    """Downloads the discovery file; the server is verified with the host's own CAs."""
    parts = parts_of(url)
    host = url_host(parts.host) + (f":{parts.port}" if parts.port else "")
    try:
        site = site_of(f"https://{host}", ssl.create_default_context())
        with Connection(site, cancel=search.clock.cancel) as connection:
            request = Request("GET", parts.target, headers=_login_headers(parts))
            answer = connection.ask(request, seconds=_FETCH_SECONDS, most_bytes=_MOST_BYTES)
    except HttpFailed as error:
        why = f"{error.what}: {error.certificate}" if error.certificate else error.what
        raise _unread(host, why) from None
    if not answer.ok:
        raise _unread(host, f"HTTP {answer.status}")
    return answer.body


def _login_headers(parts: UrlParts) -> dict[str, str]:
    """Returns the header that carries user and password of a URL; none without them."""
    if parts.login is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(login_of(parts)).decode()}"}
