"""`mirror`: journals copied into W&B or TensorBoard, from a login node."""

from __future__ import annotations

import signal
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import NOTHING_TO_DO, SOME_FAILED
from sweep.cli.options import DEFAULT_RESULTS, Database, Results, Site

if TYPE_CHECKING:
    from sweep.layout import Root
    from sweep.mirror.run import Tracker

_DAY = 86_400.0  # seconds


class Kind(StrEnum):
    """A tracker whose form is known."""

    WANDB = "wandb"
    TENSORBOARD = "tensorboard"


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(mirror)


def mirror(
    kind: Annotated[Kind, typer.Argument(metavar="wandb|tensorboard", help="In whose form.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="SWEEP", help="These sweeps, points or jobs; default: all."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is new until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks (--follow).")
    ] = 10.0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder; default: mirror/wandb or mirror/tensorboard in the results root."
        ),
    ] = None,
    project: Annotated[
        str, typer.Option("--project", help="The W&B project that `wandb sync` makes.")
    ] = "vitok-sweep",
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Write journals as offline W&B runs or TensorBoard event files, one run per job.

    Example: vitok-sweep mirror tensorboard quickstart --follow

    It reads journals and no more: jobs know nothing of it, and it may be killed and started again
    at any time, without numbers standing twice. Exit codes: 3 nothing was new, 4 some runs could
    not be written.
    """
    from sweep.layout import Root
    from sweep.mirror.copying import Mirror, alone
    from vitok_core.errors import UserError

    root = Root(results)
    if not root.path.is_dir():
        raise UserError(f"{results}: no such results root; --results names it")
    if every > _DAY:  # also what no clock can count
        raise UserError(f"--every {every:g}: expected seconds, at most those of a day")
    folder = out or root.mirrors / kind
    if folder.resolve().is_relative_to(root.jobs.resolve()):
        raise UserError(f"--out {folder}: jobs live there; give the mirror a folder of its own")
    tracker = _tracker(kind, project)
    said: set[str] = set()

    def say(line: str) -> None:
        if line not in said:
            said.add(line)
            print(line, file=sys.stderr)

    stop = threading.Event()
    if follow:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
    with alone(folder):
        copies = Mirror(root, tracker, folder, say)
        runs = copies.look(_ids(root, names, db, site), stay=follow, stop=stop.is_set)
        print(f"{folder}: {runs} runs had something new", file=sys.stderr)
        while follow and not stop.wait(every):
            copies.look(_ids(root, names, db, site), stay=True, stop=stop.is_set)
        copies.close()
    print(folder)
    if copies.refused:
        raise typer.Exit(SOME_FAILED)
    if not follow and not runs:
        raise typer.Exit(NOTHING_TO_DO)


def _tracker(kind: Kind, project: str) -> Tracker:
    """Imported only when it is asked for: the package is an extra."""
    from vitok_core.errors import UserError

    try:
        if kind is Kind.WANDB:
            from sweep.mirror.wandb import Wandb

            return Wandb(project)
        from sweep.mirror.tensorboard import TensorBoard

        return TensorBoard()
    except ImportError as error:
        raise UserError(f"{error}; pip install 'vitok-sweep[{kind}]'") from error


def _ids(
    root: Root, names: list[str] | None, db: str | None, site: Path | None
) -> frozenset[str] | None:
    """The jobs that are meant by now; None: all."""
    if not names:
        return None
    from sweep.cli.jobs import opened
    from sweep.store import queries

    store, _ = opened(root.path, db, site)
    found = frozenset(job for name in names for job in queries.resolve_jobs(store, name))
    store.close()
    return found
