"""What is looked at before a member is added: the list, the new peer URLs, what others left in the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quorate.core.finding import Finding
from quorate.core.membership import ClusterView, starting_advice
from quorate.core.view_findings import findings
from quorate.deadline import SystemClock
from quorate.errors import Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.coordination.pending_joins import learners_there
from quorate.etcd.observation.look import endpoint_of
from quorate.etcd.observation.member_list_check import Comparison
from quorate.etcd.observation.peer_url_check import answering_already


def found_before_an_add(
    access: Access,
    clock: SystemClock,
    look: Callable[[], ClusterView],
    view: ClusterView,
    *,
    name: str,
    peer_urls: Sequence[str],
    timeout: float,
) -> list[Finding]:
    """Returns the findings before `name` is added at `peer_urls` to the cluster of `view`; changes nothing. `timeout`: seconds
    for one answer. Raises `Refused` for a leader that has no endpoint."""
    found = findings(view, name, peer_urls)
    found += answering_already(access, view, peer_urls)
    found += Comparison(access, look, clock, timeout).disagreements(view)
    if view.leader is None:
        return found
    where = endpoint_of(access, view.leader)
    if where is None:
        raise Refused(
            "no member reports that it leads",
            state="nothing was changed",
            advice=f"{starting_advice(view)}, then run the same command again",
        )
    found += learners_there(access.channel(where), view, peer_urls[0], timeout=timeout)
    return found
