"""`doctor`: what of this machine, its cluster and its site file is in order, and what is not."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site

if TYPE_CHECKING:
    from sweep.doctor.finding import Finding

_SOME_PROBLEM = 1
_REPORT = Path("gpu-report.json")


class On(StrEnum):
    """Where the checks of --gpu compute."""

    CUDA = "cuda"
    CPU = "cpu"


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(doctor)


def doctor(
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu",
            help="Also what our jobs ask of GPUs, in about ten minutes: products, a block, "
            "compile, NCCL, a training, a kill and resume, loading. Writes a report.",
        ),
    ] = False,
    device: Annotated[
        On, typer.Option(help="With --gpu; cpu: the same checks in small, to try them.")
    ] = On.CUDA,
    report: Annotated[
        Path,
        typer.Option(help="With --gpu: where the report goes. It names no user, host or path."),
    ] = _REPORT,
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Check versions, scheduler, database, disk, data, weights and GPUs; say how to mend each.

    Changes nothing but a test file that it removes. Exit code 1 when there is a problem.

    Example: vitok-sweep doctor --results /shared/results

    On a GPU node: vitok-sweep doctor --gpu --report gpu-report.json
    """
    import json

    from sweep.doctor.checkup import examine
    from sweep.doctor.finding import State
    from sweep.doctor.view import table
    from sweep.statusview import show

    findings = examine(results, db, site)
    if gpu:
        findings += _compute(device, report, findings)
    if as_json:
        print(json.dumps([finding.as_json() for finding in findings], indent=1))
    else:
        show(table(findings))
    if any(finding.state is State.PROBLEM for finding in findings):
        raise typer.Exit(_SOME_PROBLEM)


def _compute(device: On, report: Path, findings: list[Finding]) -> list[Finding]:
    """The checks of --gpu, and their report."""
    from sweep.doctor.computing import compute
    from sweep.doctor.report import write_report
    from vitok_core.errors import UserError

    if report.is_dir() or not report.parent.is_dir():  # not after ten minutes of a node
        raise UserError(f"--report {report}: expected a file's name in a folder that exists")
    checked = compute(device, lambda line: print(f"checking: {line}", file=sys.stderr))
    about = [each for each in findings if each.check in ("versions", "GPUs")]
    write_report(report, checked, about)
    print(f"report: {report}", file=sys.stderr)
    return [each.finding for each in checked]
