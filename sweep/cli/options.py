"""Options that several commands share, each written once."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vitok_core.errors import UserError


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise UserError(f"--results {path}: expected a folder, and this is a file")
    return path


Results = Annotated[
    Path,
    typer.Option(
        "--results",
        envvar="VITOK_RESULTS",
        callback=_folder,
        help="Results root: job folders, journals and the database.",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="VITOK_DB",
        help="Database URL; default: the site file's, else results.db in the results root.",
        show_default=False,
    ),
]
Site = Annotated[
    Path | None,
    typer.Option(
        "--site",
        envvar="VITOK_SITE",
        help="Site file: data paths and cluster settings "
        "(default: site.yaml in ~/.config/vitok-sweep, where it exists).",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
SweepFile = Annotated[
    str, typer.Argument(help="A sweep file, or the name of one that comes with the package.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override a field of every point, e.g. train.steps=20k, or a whole key of the file, "
        "e.g. 'seeds=[0, 1]'. Repeatable.",
    ),
]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="FILTER", help="Keep some points, e.g. 'p=16,c=16|32'."),
]
SchedulerName = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="slurm, local or inline (default: the site file's, else slurm where sbatch is).",
    ),
]
AtOnce = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Submissions at once (local; slurm: per array)."),
]
Gpus = Annotated[
    str | None,
    typer.Option("--gpus", help="GPUs to hand out, e.g. 0-7 or 0,2,5 (local; default: all)."),
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch/--no-watch",
        help="Stay until all has ended: show progress, submit later waves and lost jobs.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be submitted; change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask about large sweeps.")]

DEFAULT_RESULTS = Path("results")


def launch_line(
    file: str,
    only: str | None,
    sets: Sequence[str],
    results: Path,
    db: str | None,
    site: Path | None,
) -> str:
    """The `launch` of a command with these options, to be typed."""
    words = ["vitok-sweep", "launch", file, *(["--only", only] if only else [])]
    words += [word for each in sets for word in ("--set", each)]
    if results != DEFAULT_RESULTS:
        words += ["--results", str(results)]
    for name, value in (("--db", db), ("--site", site)):
        words += [name, str(value)] if value else []
    return shlex.join(words)
