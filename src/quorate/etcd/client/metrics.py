"""Values that etcd reports only as metrics: snapshots in flight, live peer links, fsync times."""

from __future__ import annotations

import math
import re
import ssl
from dataclasses import dataclass

from quorate.core.ids import format_id
from quorate.etcd.client.endpoint import Endpoint, Tls
from quorate.foreign.http import Connection, Request, Site

_MOST_BYTES = 8 << 20
_MOST_LINE = 1000
_WANTED = (
    "etcd_network_snapshot_send_inflights_total",
    "etcd_network_snapshot_send_success",
    "etcd_network_active_peers",
    "etcd_server_is_leader",
    "etcd_network_peer_sent_bytes_total",
    "etcd_network_peer_received_bytes_total",
    "etcd_disk_wal_fsync_duration_seconds_sum",
    "etcd_disk_wal_fsync_duration_seconds_count",
    "etcd_server_id",
    "process_start_time_seconds",
    "promhttp_metric_handler_requests_total",
)
_LINES = re.compile(rf"^(?P<name>{'|'.join(_WANTED)})(?P<rest>[{{ ].{{0,{_MOST_LINE}}})$", re.MULTILINE)
"""The lines that are read, one at a time: eight megabytes of short lines are 240 MB as a list. A page of etcd has two thousand
others."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Values by name and labels; only those that quorate uses."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def snapshot_in_flight(self, member_id: int) -> bool:
        """Returns whether this member is sending its database to `member_id`."""
        return self._with("etcd_network_snapshot_send_inflights_total", "To", format_id(member_id)) > 0

    def snapshot_sent(self, member_id: int) -> bool:
        """Returns whether this member sent its database to `member_id`, or is sending it, since its process began."""
        return (
            self.snapshot_in_flight(member_id)
            or self._with("etcd_network_snapshot_send_success", "To", format_id(member_id)) > 0
        )

    def linked(self, member_id: int) -> bool:
        """Returns whether this member has a live stream to `member_id`."""
        return self._with("etcd_network_active_peers", "Remote", format_id(member_id)) > 0

    def sent_bytes(self, member_id: int) -> float:
        """Returns the bytes that this member sent to `member_id`: heartbeats included, snapshots not."""
        return self._with("etcd_network_peer_sent_bytes_total", "To", format_id(member_id))

    def received_bytes(self, member_id: int) -> float | None:
        """Returns the bytes that this member received from `member_id`; None before the first byte. Between the leader and a
        follower the counter grows ten times a second, at both ends. It stops within a heartbeat of a cut, which
        `etcd_network_active_peers` does not show for minutes from etcd 3.5 on."""
        return self._exactly("etcd_network_peer_received_bytes_total", "From", format_id(member_id))

    def link_heartbeat_bytes(self) -> float | None:
        """Returns the bytes of link heartbeats that this member received from all peers together. Each stream carries one every
        5/3 s, without a sender, so etcd counts them all as from "0"."""
        return self._exactly("etcd_network_peer_received_bytes_total", "From", "0")

    @property
    def is_etcds(self) -> bool:
        """Returns whether this is a member's own page: every etcd reports whether it leads. A proxy's page would read as
        "nothing received"."""
        return ("etcd_server_is_leader", frozenset()) in self.values

    def is_of(self, member_id: int) -> bool:
        """Returns whether this page is that of a member, by its own words (3.4 to 3.7): what answers at its address may be a
        proxy that leads to a member of another cluster."""
        return self._with("etcd_server_id", "server_id", format_id(member_id)) > 0

    @property
    def number(self) -> tuple[float, float] | None:
        """Returns which page this is: when its process began, in unix seconds, and how many pages it had served before; None
        when it does not say. The second grows with every page made for us: one that a proxy kept repeats it."""
        served = self._exactly("promhttp_metric_handler_requests_total", "code", "200")
        return (self.values.get(("process_start_time_seconds", frozenset()), 0.0), served) if served is not None else None

    @property
    def leads(self) -> bool:
        """Returns whether this member reports that it leads."""
        return self.values.get(("etcd_server_is_leader", frozenset()), 0.0) == 1.0

    @property
    def fsync_seconds(self) -> float:
        """Returns the mean time of an fsync of the WAL since the member started; 0.0 when it made none."""
        count = self.values.get(("etcd_disk_wal_fsync_duration_seconds_count", frozenset()), 0.0)
        return self.values.get(("etcd_disk_wal_fsync_duration_seconds_sum", frozenset()), 0.0) / count if count else 0.0

    def _exactly(self, name: str, label: str, value: str) -> float | None:
        found = [number for (key, labels), number in self.values.items() if key == name and (label, value) in labels]
        return sum(found) if found else None

    def _with(self, name: str, label: str, value: str) -> float:
        return sum(number for (key, labels), number in self.values.items() if key == name and (label, value) in labels)


def site_of(endpoint: Endpoint, tls: Tls | None) -> Site:
    """Returns where a member's client port serves its metrics."""
    secure = endpoint.tls == "on" or (endpoint.tls == "auto" and tls is not None)
    context = (tls.context() if tls else ssl.create_default_context()) if secure else None
    return Site(endpoint.host, endpoint.port, context)


def read(connection: Connection, *, timeout: float) -> Metrics | None:
    """Returns the page behind a connection, or None: metrics may be served elsewhere, or not at all. Raises `HttpFailed` where
    there is no answer."""
    answer = connection.ask(Request("GET", "/metrics"), seconds=timeout, most_bytes=_MOST_BYTES)
    return parse(answer.body.decode(errors="replace")) if answer.status == 200 else None


def parse(text: str) -> Metrics:
    """Returns the values that quorate uses from a Prometheus text page; lines that it cannot read are skipped."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for line in _LINES.finditer(text):
        row = _row(line["rest"])
        if row is not None:
            found[line["name"], row[0]] = row[1]
    return Metrics(found)


def _row(rest: str) -> tuple[frozenset[tuple[str, str]], float] | None:
    """Returns the labels and the value of a line, from the text after its name. It parses by hand, once from left to right: a
    regular expression over a label of 40 kB took 19 s."""
    labels: list[tuple[str, str]] = []
    if rest.startswith("{"):
        inside, closed, rest = rest[1:].partition("}")
        pairs = [pair.partition("=") for pair in inside.split(",") if pair]
        if not closed or any(len(value) < 2 or value[0] != '"' or value[-1] != '"' for _, _, value in pairs):
            return None
        labels = [(key, value[1:-1]) for key, _, value in pairs]
    try:
        value = float(rest)
    except ValueError:
        return None
    return (frozenset(labels), value) if rest.startswith(" ") and math.isfinite(value) else None
