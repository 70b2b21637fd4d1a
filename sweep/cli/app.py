"""The command line: the roof of the house. Modules below register their commands on `app`.

Command modules import only typer at the top: what a command needs is imported inside it, so that
`--help` stays fast and never meets torch.
"""

from __future__ import annotations

import os
import sys

import typer

from vitok_core.errors import UserError

app = typer.Typer(
    name="vitok-sweep",
    help="Plan, run, record and analyse scaling sweeps of visual tokenizers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register() -> None:
    """Attach every command group, in the order in which --help lists them."""
    from sweep.cli import control, jobs, planning, reporting, running, storing

    for module in (planning, running, control, jobs, storing, reporting):
        module.register(app)


def main() -> None:
    """Entry point: a user error is one line on stderr and its exit code; a bug is a traceback."""
    register()
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `vitok-sweep plan … | head`: the reader has gone, say nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
