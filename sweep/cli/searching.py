"""`launch` of a sweep file that searches: the controller, and what it says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from sweep.cli.exits import NOTHING_TO_DO, SOME_FAILED
from sweep.cli.submitting import LARGE_HOURS, confirm
from vitok_core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.launch import Launched
    from sweep.layout import Root
    from sweep.model import Plan
    from sweep.schedulers.base import Scheduler
    from sweep.search.trials import Trials
    from sweep.site import Site
    from sweep.store import Store


@dataclass(frozen=True)
class Searching:
    """One launch of a search. `plan` is its whole space, which could run here."""

    file: str
    sets: tuple[str, ...]
    plan: Plan
    root: Root
    db: str | None
    scheduler: Scheduler
    site: Site

    def launch(self, only: str | None, watch: bool, dry_run: bool, yes: bool) -> None:
        """Search to the end; exit codes as of `launch`."""
        from sweep.search.planned import lines

        if only is not None:
            raise UserError("--only keeps points of a grid; a search has none: narrow search.space")
        if not watch:
            raise UserError(
                "--no-watch: a search chooses trials from what came of earlier ones, so its launch "
                "stays; killed, it goes on when it is launched again"
            )
        if dry_run:
            print("\n".join(lines(self.plan)))
            return
        self._confirm(yes)
        from sweep.turns import alone

        with alone(self.root, self.plan.sweep):
            self._search()

    def _confirm(self, yes: bool) -> None:
        """Ask on a terminal before a large search."""
        from sweep.search.planned import planned

        found = planned(self.plan)
        assert found is not None
        question = f"Up to {found['trials']} trials, {found['least_device_hours']:.1f} to "
        question += f"{found['most_device_hours']:.1f} {self.plan.device}-hours?"
        confirm(question, found["most_device_hours"] > LARGE_HOURS, yes)

    def _search(self) -> None:
        from rich.console import Console

        from sweep.search.controller import Controller
        from sweep.search.outcome import TrialState
        from sweep.store import open_store
        from sweep.tend import TRIES
        from sweep.watch import watch

        console = Console(stderr=True)
        said: set[str] = set()

        def say(line: str) -> None:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

        def note(line: str) -> None:
            if line not in said:
                said.add(line)
                say(f"note: {line}")

        store = open_store(self.root, self.db)
        tries = TRIES if self.scheduler.name == "slurm" else 1
        begin = self._launcher(store, say)
        controller = Controller(self._trials(), self.root, store, begin, tries, say, note)
        idle = controller.idle
        try:
            if not idle:
                watch(controller, console, controller.is_over)
        except KeyboardInterrupt:
            print(
                f"\nthe jobs go on, and no trial is chosen until {self.file} is launched again; to "
                f"stop the jobs: vitok-sweep cancel {self.plan.sweep}",
                file=sys.stderr,
            )
            raise typer.Exit(0) from None
        finally:
            controller.close()
        self._print_standing(store)
        if idle:
            print("nothing to do: every trial has ended", file=sys.stderr)
            raise typer.Exit(NOTHING_TO_DO)
        if any(run.outcome.state is TrialState.FAILED for run in controller.runs):
            print(
                "see `vitok-sweep why JOB` and `logs JOB`; once mended, `vitok-sweep retry JOB` "
                f"and launch {self.file} again",
                file=sys.stderr,
            )
            raise typer.Exit(SOME_FAILED)

    def _trials(self) -> Trials:
        from sweep.search.trials import Trials
        from sweep.spec import document, read

        return Trials(read.read(document.load(self.file, self.sets)), self.plan.device)

    def _launcher(
        self, store: Store, say: Callable[[str], None]
    ) -> Callable[[Plan, Plan, frozenset[str]], Launched]:
        """Hands trials over, with this site's resources."""
        from sweep.launch import launch

        def begin(plan: Plan, whole: Plan, spared: frozenset[str]) -> Launched:
            plans = self.site.equip(plan), self.site.equip(whole)
            return launch(*plans, self.root, store, self.scheduler, self.site, say, spared)

        return begin

    def _print_standing(self, store: Store) -> None:
        from sweep.search.standing import standings
        from sweep.status import job_statuses
        from sweep.store import queries

        ids = queries.sweep_jobs(store, self.plan.sweep)
        states = {job.id: job.state for job in job_statuses(store, self.root, ids)}
        for standing in standings(store, self.plan.sweep, states):
            print("\n".join(standing.lines()))
