"""Creates, lists and deletes bootstrap tokens of a running cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from quorate.deadline import SystemClock
from quorate.errors import ConfigError
from quorate.foreign.text import to_paste
from quorate.kube import tokens
from quorate.kube.client import KubeClient
from quorate.kube.errors import AlreadyExists
from quorate.kube.tokens import Token, is_token_id
from quorate.phases.base import api_access
from quorate.phases.base.this_node import ThisNode
from quorate.phases.cluster.join_command import join_words
from quorate.pki.kubeconfig import Parsed
from quorate.tree import Tree

_PATIENCE_SECONDS = 10.0


@contextmanager
def client(tree: Tree, kubeconfig: str, clock: SystemClock, node: ThisNode) -> Iterator[KubeClient]:
    made = KubeClient(api_access.server_of(api_access.read(tree, kubeconfig, node)), clock, _PATIENCE_SECONDS)
    with made.connected():
        yield made


def create(api: KubeClient, token: Token) -> None:
    """Stores a token. Raises `AlreadyExists` when its id is in use."""
    api.create(tokens.to_secret(token))


def refuse_existing(api: KubeClient, token: Token) -> None:
    """Raises `AlreadyExists` as `create` does, and changes nothing."""
    if is_there(api, token.id):
        raise AlreadyExists(f'secrets "{tokens.secret_name(token.id)}" already exists', state="nothing was changed")


def is_there(api: KubeClient, token_id: str) -> bool:
    return api.find("Secret", tokens.secret_name(token_id), tokens.NAMESPACE) is not None


def found(api: KubeClient) -> list[Token]:
    """Returns the cluster's tokens, sorted by id."""
    secrets = api.list("Secret", tokens.NAMESPACE, fields=f"type={tokens.SECRET_TYPE}")
    known = [token for one in secrets if (token := tokens.from_secret(one)) is not None]
    return sorted(known, key=lambda token: token.id)


def id_of(which: str) -> str:
    """Returns the id of `which`, an id or a whole token. Raises `ConfigError` for anything else, without repeating it."""
    token_id = which.partition(".")[0]
    if not is_token_id(token_id):
        raise ConfigError("the argument is neither a token nor the id of one (six characters of a-z0-9)")
    return token_id


def delete(api: KubeClient, token_id: str) -> None:
    """Deletes a token; succeeds also when there is none of this id."""
    api.delete("Secret", tokens.secret_name(token_id), tokens.NAMESPACE)


def join_command(parsed: Parsed, token: str, certificate_key: str) -> str:
    """Returns the command for further nodes on one line: workers, or with a certificate key control planes."""
    words = join_words(parsed, token)
    if certificate_key:
        words.append(to_paste("--control-plane", "--certificate-key", certificate_key))
    return " ".join(words)


def time_left(token: Token, now: datetime) -> str:
    """Returns the time left as kubeadm shows it: 23h, <forever>, <expired>."""
    if token.expires is None:
        return "<forever>"
    seconds = int((token.expires - now).total_seconds())
    if seconds <= 0:
        return "<expired>"
    return f"{seconds // 3600}h" if seconds >= 7200 else f"{seconds // 60}m" if seconds >= 120 else f"{seconds}s"
