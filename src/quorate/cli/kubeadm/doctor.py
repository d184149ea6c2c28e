"""`quorate doctor`: checks this node and its cluster."""

from __future__ import annotations

from typing import Any

import click

from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.cli.kubeadm import render, setup
from quorate.cli.kubeadm.flags import Given, with_flags


@command("doctor", ends=READS)
@with_flags(("cert-dir", "cri-socket", "kubeconfig"))
@output_option()
@click.pass_context
def group(ctx: click.Context, /, **parameters: Any) -> None:
    """Check this node and its cluster; report problems and their fixes. Changes nothing.

    \b
    Examples:
      quorate doctor
      quorate doctor -o json

    Exits with code 1 when something is wrong.
    """
    from quorate.core.finding import errors_of
    from quorate.phases import doctor

    given = Given.of(parameters)
    report = render.to_stderr()
    made = setup.init_setup(given, report, setup.the_runtime)
    context = setup.init_context(made, given, setup.tree_for(given, report), report)
    context = doctor.of_this_node(context)
    found = doctor.examine(context, setup.kubeconfig_of(given, doctor.admin_of(context)))
    wrong = bool(errors_of(found))
    data = {"healthy": not wrong, "findings": [one.as_dict() for one in found]}

    def table() -> None:
        rows = [(one.level, one.name, one.text, one.advice) for one in found]
        if rows:
            print_table(("LEVEL", "CHECK", "FINDING", "NEXT"), rows)
        echo("something is wrong" if wrong else "nothing is wrong")

    emit(given.text("form") or "table", "NodeReport", data, table)
    ctx.exit(1 if wrong else 0)
