"""`quorate autopilot unit|manifest`: print a systemd service or a static pod that runs the autopilot."""

from __future__ import annotations

from pathlib import Path

import click

from quorate.cli.autopilot.meant import cluster_options
from quorate.cli.autopilot.on_node import MANIFESTS, mean_own_node, stacked_option
from quorate.cli.autopilot.serve import Served, serve_options
from quorate.cli.common.commands import command
from quorate.cli.common.completion import files
from quorate.cli.common.durations import DURATION
from quorate.cli.common.exit_codes import PRINTS
from quorate.cli.common.output import document
from quorate.cli.common.this_program import path_of_program
from quorate.cli.etcd.connection import files_named, flags_in_full
from quorate.errors import ConfigError, UsageProblem

_LISTEN = "127.0.0.1:9382"


@command(ends=PRINTS)
@click.option("--provide", type=click.Path(path_type=Path), metavar="PROGRAM", help="As of run.", shell_complete=files)
@click.option("--provide-timeout", type=DURATION, default="15m", show_default=True, help="As of run.")
@stacked_option
@serve_options
@cluster_options
def unit(provide: Path | None, provide_timeout: float, stacked: bool, served: Served, folder: Path | None) -> None:
    """Print a systemd unit that runs the autopilot.

    It runs with these flags. The service tells systemd after each look that it lives, and is restarted when it hangs.
    Certificates are read where they are, and again when they are renewed. What variables say now is written as flags; of a
    password only its file.

    \b
    Example:
      quorate autopilot unit --endpoints https://10.0.0.1:2379 > /etc/systemd/system/quorate-autopilot.service
    """
    from quorate.host.units import Service, service_text

    if stacked:
        mean_own_node(folder)
    words = [path_of_program(), "autopilot", "run", *_meant(folder), *(["--stacked"] if stacked else []), *served.flags()]
    if provide is not None:
        words += [f"--provide={provide.absolute()}", f"--provide-timeout={provide_timeout:g}s"]
    writes = (str(folder.absolute()),) if folder is not None else (MANIFESTS,) if stacked else ()
    document(service_text(Service("quorate autopilot", tuple(words), provide is not None, writes)))


@command(ends=PRINTS)
@click.option("--image", required=True, help="Image in which 'quorate' is a program.")
@click.option("--listen", default=_LISTEN, show_default=True, metavar="HOST:PORT", help="Loopback address for the probes.")
@cluster_options
def manifest(image: str, listen: str, folder: Path | None) -> None:
    """Print a static pod that runs the autopilot.

    It runs with these flags, from a file in /etc/kubernetes/manifests of a node, and works while the API server is down. The
    folders of the certificates are mounted read-only.

    \b
    Example:
      quorate autopilot manifest --image registry.example/quorate:1.0 > /etc/kubernetes/manifests/quorate-autopilot.yaml
    """
    import yaml

    from quorate.manifests.autopilot import AutopilotPod, autopilot_pod

    if folder is not None:
        raise UsageProblem(
            f"{folder} is the directory of a local cluster, which runs in no pod",
            advice="pass --endpoints; on a node leave out --dir, and unset QUORATE_LOCAL_DIR",
        )
    if not image.strip():
        raise UsageProblem("--image is empty", advice="name the image in which 'quorate' is a program")
    try:
        host, port = Served(listen).place()
    except ConfigError as error:
        error.state = "nothing was printed"
        error.advice = "listen on 127.0.0.1; for a page with certificates run it as a service: quorate autopilot unit"
        raise
    paths = tuple(sorted({str(path.parent) for path in files_named()}))
    pod = AutopilotPod(image, (*_meant(None), f"--listen={listen}"), host, port, paths)
    document(yaml.safe_dump(autopilot_pod(pod), sort_keys=False))


def _meant(folder: Path | None) -> list[str]:
    return [f"--dir={folder.absolute()}"] if folder is not None else flags_in_full()
