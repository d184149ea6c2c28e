"""Finding the cluster to join, and trusting it: by a token whose signature is under cluster-info, or by a file."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from urllib.parse import unquote

from quorate.config import types as v4
from quorate.deadline import Deadline, SystemClock
from quorate.errors import ConfigError, PreflightFailed
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.http import Connection, HttpFailed, Request, site_of, split_url
from quorate.foreign.values import mapping_of, rows_of, text_of
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.kube.errors import Denied, KubeError, NotFound, Unreachable, Untrusted
from quorate.kube.tokens import Token, is_signed
from quorate.phases.base.heartbeat import Heartbeat
from quorate.pki import kubeconfig
from quorate.pki.sealing import pinned, pins_of
from quorate.report import PhaseReport
from quorate.secret import Secret
from quorate.tree import Tree

PHASE = "discovery"
_POLL_SECONDS = 0.5
_SIGNING_SECONDS = 30.0
"""The controller manager signs within a second, once one leads; where the leader has died, another one does after its lease of
15 s and takes some more to start. What is not signed for then is not known."""

_STARTING_SECONDS = 15.0

_MOST_BYTES = 1 << 20
_FETCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """The cluster: where it is, whom to trust, and how to log in while this node has no certificate of its own."""

    url: str
    ca_pem: bytes
    token: Secret[str]
    certificate_pem: bytes = b""
    key_pem: Secret[bytes] | None = None

    def server(self, url: str = "") -> Server:
        return Server(url or self.url, tls.context(self.ca_pem, self.certificate_pem, self.key_pem), self.token)


@dataclass(frozen=True, slots=True)
class Search:
    """How a cluster is looked for: for how many seconds at most, and who is told meanwhile."""

    seconds: float
    clock: SystemClock
    report: PhaseReport


def discover(given: v4.Discovery, tree: Tree, search: Search) -> Found:
    """Raises `PreflightFailed` when the cluster cannot be trusted or does not answer in time, `ConfigError` for bad input."""
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
            raise _distrusted(f"its CA is {', '.join(pins)}, and none of the given hashes is that")
        others = [pin for pin in pins if pin not in {one.lower() for one in given.ca_cert_hashes}]
        _check_again(Found(url, trusted, Secret("")), content, others, search.clock)
    return found


def _wait_for_info(url: str, token: Token, search: Search) -> str:
    """cluster-info, read without trusting the sender, once the token's signature is under it."""
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
                    raise _distrusted("its signature does not fit the token")
                return content
            if signing is None and any(key.startswith("jws-kubeconfig-") for key in data):
                signing = Deadline(search.clock, _SIGNING_SECONDS, "this token is signed for, as others are")
            if deadline.expired or (signing is not None and signing.expired):
                raise PreflightFailed(
                    f"the token {token.id!r} is not known to the cluster, or has expired: it is not signed for",
                    state="nothing was changed",
                    advice="make one on a control-plane node: quorate token create --print-join-command",
                )
            heartbeat.beat(why or "the token is not signed for yet")
            search.clock.sleep(_POLL_SECONDS)


def _info(client: KubeClient, deadline: Deadline, starting: Deadline) -> tuple[dict[str, str], str]:
    """The data of cluster-info; or nothing, and why, while asking again may help. An API server that has just started refuses
    whom it does not know yet, and init makes cluster-info near its end."""
    try:
        return _texts(client.get("ConfigMap", "cluster-info", "kube-public").get("data")), ""
    except KubeError as error:
        patience = deadline if isinstance(error, Unreachable) else starting
        if isinstance(error, Unreachable | Denied | NotFound) and not patience.expired:
            return {}, error.what
        if isinstance(error, NotFound):
            raise _distrusted("it has no cluster-info: it is no cluster that tokens can be used with") from None
        raise PreflightFailed(
            error.what,
            state="nothing was changed",
            advice="check the endpoint, that the API server runs, and the way to it",
        ) from None


def _texts(data: object) -> dict[str, str]:
    """A ConfigMap's data from somebody who is not trusted yet: what has another shape is left out."""
    rows = data.items() if isinstance(data, dict) else ()
    return {key: value for key, value in rows if isinstance(key, str) and isinstance(value, str)}


def _check_again(found: Found, content: str, others: list[str], clock: SystemClock) -> None:
    """The same, now from a server whose certificate a pinned CA has signed: what it says over that connection is trusted, the
    whole bundle too. `others`: pins of the bundle that were not given. They are not trusted yet: whoever knows some
    token can sign a bundle of the pinned CA and one of his own."""
    client = KubeClient(found.server(), clock, patience=10.0)
    with client.connected():
        try:
            again = client.get("ConfigMap", "cluster-info", "kube-public")
        except Untrusted as error:
            missing = f". Its CA may be one that no hash was given for: {', '.join(others)}" if others else ""
            raise _distrusted(f"{error.what}. {error.advice}{missing}") from None
    if mapping_of(again.get("data")).get("kubeconfig") != content:
        raise _distrusted("what it says over TLS is not what it said before")


def _only_cluster(content: str) -> kubeconfig.Parsed:
    """What cluster-info says, signed by a token: no more than where the cluster is, and its CA."""
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
    """The bootstrap token is sent there."""
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
    """`where` may hold a password, as https://USER:PASSWORD@HOST/: it is never named in full."""
    fetched = where.startswith("https://")
    named = "the discovery file" if fetched else f"the discovery file {where}"
    content = _fetch(where, search) if fetched else tree.read(where)
    if content is None:
        raise ConfigError(f"{named} does not exist")
    parsed = kubeconfig.parse(content, named)
    if not parsed.ca_pem or not parsed.server.startswith("https://"):
        raise ConfigError(f"{named} lacks the cluster's CA (certificate-authority-data) or its https address")
    login = token if token.reveal() else parsed.token
    if not login.reveal() and not parsed.certificate_pem:
        raise ConfigError(f"{named} has no credentials: give --tls-bootstrap-token")
    return Found(parsed.server, parsed.ca_pem, login, parsed.certificate_pem, parsed.key_pem)


def _fetch(url: str, search: Search) -> bytes:
    """Trusting the host's own CAs."""
    address, login = _without_login(url)
    host = address.removeprefix("https://").partition("/")[0]
    try:
        parts = split_url(address)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with Connection(site_of(address, ssl.create_default_context()), cancel=search.clock.cancel) as connection:
            answer = connection.ask(Request("GET", target, headers=login), seconds=_FETCH_SECONDS, most_bytes=_MOST_BYTES)
    except HttpFailed as error:
        why = f"{error.what}: {error.certificate}" if error.certificate else error.what
        raise PreflightFailed(f"the discovery file at {host} cannot be read: {why}", state="nothing was changed") from None
    if not answer.ok:
        raise PreflightFailed(
            f"the discovery file at {host} cannot be read: HTTP {answer.status}", state="nothing was changed"
        ) from None
    return answer.body


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """The URL without a user and password, and the header that says them."""
    authority, slash, rest = url.removeprefix("https://").partition("/")
    login, at, host = authority.rpartition("@")
    address = f"https://{host}{slash}{rest}"
    if not at:
        return address, {}
    encoded = base64.b64encode(unquote(login).encode()).decode()
    return address, {"Authorization": f"Basic {encoded}"}
