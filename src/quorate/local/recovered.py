"""Cleans a local cluster that a recovery has made, once it serves."""

from __future__ import annotations

from quorate.etcd.cluster import Cluster
from quorate.local.home import Home
from quorate.recovery.progress import is_owed_cleaning, recovered_here
from quorate.recovery.settle import settle


def clean_recovered(home: Home, cluster_id: int) -> None:
    """Cleans what the old cluster left in the one with this id, where that is owed: a run of `local recover` may have been
    killed in front of it. Raises as `settle`."""
    for one in home.load().members:
        data = home.layout.member(one.name).data
        if not data.is_dir() or not is_owed_cleaning(data):
            continue
        made = recovered_here(data)
        if made is not None and made.cluster_id == cluster_id:
            with home.access() as access:
                settle(Cluster(access, home.seeds(), home.clock, home.report), data)
