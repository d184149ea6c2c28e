"""Phase kubelet-start: the kubelet's files, then the kubelet."""

from __future__ import annotations

from typing import Any

from quorate.phases.base.context import Context
from quorate.phases.node import kubelet_files, run_marker
from quorate.report import Notice


def run(context: Context, shared: dict[str, Any] | None = None) -> None:
    """Stops the kubelet, writes its files and starts it. `shared`: the configuration of an existing cluster."""
    if not context.dry_run:
        stop(context)
    kubelet_files.write_all(context, shared)
    start(context)


def stop(context: Context) -> None:
    """Stops the kubelet: it must not read files that are only half written. Raises `HostError` for that of another program,
    which has worked on this node since the run began."""
    if not context.dry_run:
        run_marker.refuse_foreign(context)
        context.kubelet.stop()


def start(context: Context) -> None:
    if context.dry_run:
        context.say(kubelet_files.PHASE, "Would start the kubelet")
        return
    context.say(kubelet_files.PHASE, "Starting the kubelet")
    if not context.kubelet.managed:
        text = "this host has no systemd: start the kubelet by other means, or make sure that it runs"
        context.report(Notice(text, "warning"))
    context.kubelet.start()
