"""The check before a join that no etcd answers at the new member's peer URLs yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quorate.core.finding import Finding
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.etcd.client.connections import Access

_SECONDS = 1.0


def answering_already(access: Access, view: ClusterView, peer_urls: Sequence[str]) -> Iterator[Finding]:
    """Yields findings for peer URLs that no member has, and where an etcd answers all the same.

    One of this cluster is a member under another of its addresses, which no comparison of texts shows: the learner there would
    never start. One of another cluster was started before it was registered, and has founded a cluster of its own (k0s#5149).
    """
    for url in peer_urls:
        listed = None if view.by_peer_urls((url,)) else access.peer_members(url, access.tls, timeout=_SECONDS)
        if listed is None:
            continue
        if listed.cluster_id == view.cluster_id:
            text = f"a member of this cluster answers at {url} already: it is another of its addresses"
            yield Finding("peer-url-answers", "error", text, "give a peer URL at which no member is reached")
        else:
            text = f"the etcd at {url} belongs to cluster {format_id(listed.cluster_id)}, not to {format_id(view.cluster_id)}"
            advice = "if it was started too early: stop it, move its data directory away, and start it when it is registered"
            yield Finding("peer-url-answers", "error", text, advice)
