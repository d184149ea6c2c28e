"""Calls that any voter may serve: they go to a member that answers now, for the first leader may be gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from quorate.deadline import Clock, Deadline
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, NoAnswer, RpcOnLearner, Unreachable
from quorate.loggers import logger

_LOGGER = logger(__name__)
T = TypeVar("T")
_TRY_SECONDS = 2.0
_AGAIN_SECONDS = 0.1


def ask_anyone(
    access: Access, seeds: Sequence[Endpoint], ask: Callable[[Channel, float], T], clock: Clock, *, seconds: float
) -> T:
    """Returns the result of `ask` on the first member that answers; `ask` gets a channel and a time limit in seconds.

    The leader of the last look is asked first, then the other members, then the seeds, and again until `seconds` are over.
    `ask` must be safe to repeat, because an answer may be lost. Raises the last error; a final one is raised at once, unless
    another member may answer (`RpcOnLearner`, `Unreachable`).
    """
    deadline = Deadline(clock, seconds, "a member answers")
    while True:
        failure: EtcdError = Unreachable("no endpoint to ask")
        for endpoint in dict.fromkeys([*access.routes.known(), *seeds]):
            if access.cancel is not None and access.cancel.pending:
                access.cancel.check()
            try:
                return ask(access.channel(endpoint), max(min(_TRY_SECONDS, deadline.remaining), 0.1))
            except RpcOnLearner as error:
                failure = error
            except EtcdError as error:
                if error.disposition == "final" and not isinstance(error, Unreachable):
                    raise
                if isinstance(error, Unreachable | NoAnswer):
                    access.routes.gave_none(endpoint)
                failure = error
            _LOGGER.debug("asks another member: %s", failure.what)
            if deadline.expired:
                raise failure
        clock.sleep(_AGAIN_SECONDS)
