"""`rehearse`: every job of a sweep for a few steps, before the real thing is paid for."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import INTERRUPTED, SOME_FAILED
from sweep.cli.options import DEFAULT_RESULTS, Json, Only, Results, Set, Site, SweepFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from sweep.layout import Root
    from sweep.model import Plan
    from sweep.rehearsal.outcome import Outcome
    from sweep.schedulers.base import Scheduler
    from sweep.site import Site as SiteFile

_SMALL_STEPS, _REAL_STEPS = 3, 10


class On(StrEnum):
    """Where a rehearsal runs."""

    LOCAL = "local"
    SLURM = "slurm"
    INLINE = "inline"


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(rehearse)


def rehearse(
    file: SweepFile,
    on: Annotated[
        On,
        typer.Option(
            "--on", help="slurm: one submission for each shape of resources, and wait for it."
        ),
    ] = On.LOCAL,
    real_shapes: Annotated[
        bool,
        typer.Option(
            "--real-shapes",
            help="True sizes on the true devices; `plan` then knows the measured speed.",
        ),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=2,
            help=f"Optimizer steps (default: {_SMALL_STEPS}, of true shapes {_REAL_STEPS}).",
            show_default=False,
        ),
    ] = None,
    set_: Set = None,
    only: Only = None,
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    site: Site = None,
) -> None:
    """Run each distinct job of a sweep for a few steps: same code, small shapes, nothing kept.

    Where this machine has no path for a data set, drawn data stand in, and it is said. Networks
    without weights are left out and told as missing. Nothing enters the results root but the
    speed of --real-shapes.

    Example: vitok-sweep rehearse quickstart --only 'p=16'

    Exit codes: 0 all passed, 2 bad file, 4 some failed or miss a network, 5 no answer from Slurm.
    """
    from rich.console import Console

    from sweep import site as sites
    from sweep.layout import Root
    from sweep.planning.plan import plan_file
    from sweep.planning.preflight import faults
    from sweep.rehearsal.outcome import Passed, outcomes
    from sweep.rehearsal.run import run
    from sweep.rehearsal.script import script
    from sweep.rehearsal.shrink import Shrinking
    from vitok_core.errors import UserError

    here = sites.load(site)
    plan = here.equip(plan_file(file, set_ or (), only, here.device))
    wrong = faults(plan)
    if wrong:
        listed = "".join(f"\n  {line}" for line in wrong)
        raise UserError(f"{file}: nothing was rehearsed:{listed}")
    steps = steps or (_REAL_STEPS if real_shapes else _SMALL_STEPS)
    short = script(plan, here, Shrinking(steps, small=not real_shapes), shared=on is not On.LOCAL)
    place = _place(Root(results), plan.sweep, on)
    root = Root(place)
    try:
        with _ends_like_ctrl_c():
            jobs = run(short.plan, root, _scheduler(on, root, here), here, Console(stderr=True))
    except KeyboardInterrupt:
        print(f"interrupted: what ran was cancelled; journals in {place}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    found = outcomes(short, jobs, root)
    if real_shapes:
        _keep_speed(found, plan, Root(results))
    _show(found, plan.sweep, not real_shapes, as_json)
    if any(each.passed is Passed.FAILED for each in found):
        print(f"logs and journals of the rehearsal: {place}", file=sys.stderr)
    else:
        _remove(place)
    if any(each.passed is not Passed.OK for each in found):
        raise typer.Exit(SOME_FAILED)


def _place(results: Root, sweep: str, on: On) -> Path:
    """A new folder for the rehearsal's results: where nodes see it, or this machine's own."""
    import tempfile

    if on is not On.SLURM:
        return Path(tempfile.mkdtemp(prefix=f"vitok-rehearsal-{sweep}-"))
    folder = results.rehearsals / sweep
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="run-", dir=folder)).absolute()
    place.chmod(0o755)
    return place


@contextmanager
def _ends_like_ctrl_c() -> Iterator[None]:
    """A closed terminal or a time limit cancels a rehearsal's jobs too: nobody would read them."""
    import signal

    def end(number: int, frame: FrameType | None) -> None:
        interrupt = signal.getsignal(signal.SIGINT)  # the watch has its own
        if not callable(interrupt):
            raise KeyboardInterrupt
        interrupt(number, frame)

    deadly = (signal.SIGTERM, signal.SIGHUP)
    taken = [each for each in deadly if signal.getsignal(each) is signal.SIG_DFL]  # not of nohup
    for each in taken:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


def _remove(place: Path) -> None:
    """A supervisor may just be leaving: what it still holds stays, in a place for such things."""
    import shutil

    shutil.rmtree(place, ignore_errors=True)


def _scheduler(on: On, root: Root, site: SiteFile) -> Scheduler:
    if on is On.SLURM:
        from sweep.schedulers.slurm.scheduler import SlurmScheduler

        return SlurmScheduler(root, site.slurm, say=lambda line: print(line, file=sys.stderr))
    from sweep.schedulers import scheduler

    return scheduler(on, root)


def _keep_speed(found: list[Outcome], plan: Plan, results: Root) -> None:
    from sweep.rehearsal.speedfile import keep

    kept = keep(found, plan, results)
    if kept:
        print(f"measured speed of {kept} jobs kept in {results.rehearsals}", file=sys.stderr)
    else:
        print("no speed was kept: no job ran whole, on its own data", file=sys.stderr)


def _show(found: list[Outcome], sweep: str, small: bool, as_json: bool) -> None:
    from sweep.cli.printing import print_json
    from sweep.rehearsal.outcome import counts
    from sweep.rehearsal.view import lines, table
    from sweep.statusview import show

    if as_json:
        jobs = [each.as_json() for each in found]
        shapes = "small" if small else "real"
        print_json({"sweep": sweep, "shapes": shapes, "counts": counts(found), "jobs": jobs})
        return
    show(table(found))
    print("\n".join(["", *lines(found, small)]))
