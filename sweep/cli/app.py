"""The command line: the roof of the house. Modules below register their commands on `app`.

Command modules import only typer at the top: what a command needs is imported inside it, so that
`--help` stays fast and never meets torch.
"""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys

import typer

from vitok_core.errors import UserError

# What a place on this machine may be, and the user can mend.
_USERS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
        errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS, errno.ENOSPC, errno.EDQUOT,
    }
)  # fmt: skip

_FULL = 1  # exit code

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
    from sweep.cli import (
        adopting,
        control,
        doctor,
        extending,
        freeing,
        importing,
        jobs,
        mirroring,
        planning,
        predicting,
        rehearsing,
        reporting,
        reproducing,
        running,
        storing,
    )

    groups = (
        planning, rehearsing, running, extending, adopting, importing, control, jobs, storing,
        freeing, mirroring, reporting, reproducing, predicting, doctor,
    )  # fmt: skip
    for module in groups:
        module.register(app)
    _flow(app)


def _flow(group: typer.Typer) -> None:
    """Make each paragraph of the commands' docstrings one line: typer keeps the line breaks of all
    but the first, and a narrow terminal's own come on top of them."""
    for command in group.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(each.splitlines()) for each in paragraphs)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _flow(inner.typer_instance)


def main() -> None:
    """Entry point: a user error is one line on stderr and its exit code; a bug is a traceback."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no † shows \\u2020
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    register()
    try:
        _refuse_bytes(sys.argv)
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_FULL if _of_a_full_disk(error.__cause__) else error.exit_code)
    except BrokenPipeError:  # `vitok-sweep plan … | head`: the reader has gone, say nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _USERS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror}", file=sys.stderr)
        sys.exit(_FULL if _of_a_full_disk(error) else UserError.exit_code)


def _of_a_full_disk(error: BaseException | None) -> bool:
    """Nothing is wrong with what was typed, then."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _refuse_bytes(arguments: list[str]) -> None:
    """Bytes that are no text reach us as surrogates, which nothing can print or store."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UserError(f"{argument!r}: expected text in UTF-8") from None
