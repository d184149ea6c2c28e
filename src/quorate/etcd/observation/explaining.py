"""Runs something against the endpoints of a user, and says why none answered; `endpoint_check.py` finds that out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError


@contextmanager
def explaining(access: Access, endpoints: Sequence[Endpoint]) -> Iterator[None]:
    """Raises the errors of a run that no endpoint answered with the cause at each endpoint."""
    try:
        yield
    except EtcdError as error:
        if access.routes.cluster_id:
            raise
        from quorate.etcd.observation.endpoint_check import explained

        raise explained(error, endpoints, access.tls) from None
