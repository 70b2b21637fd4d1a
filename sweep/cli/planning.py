"""`plan`, `diff`, `schema`: what a sweep file means. Nothing is run or written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.budgeting import (
    Budget,
    Criterion,
    Fit,
    Fitted,
    Optimal,
    Typed,
    budgeted,
)
from sweep.cli.budgetview import print_budgeted
from sweep.cli.options import (
    DEFAULT_RESULTS,
    Database,
    Json,
    Only,
    Results,
    Set,
    Site,
    SweepFile,
)
from sweep.cli.predicting import From, Source, expected, expected_records, print_expected

if TYPE_CHECKING:
    from sweep.model import Plan
    from sweep.planning.diff import Difference

_MOST_POINTS = 20
_WIDEST = 80

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Device profile of the estimates: h100, a100, cpu-core "
        "(default: the site file's, else h100 where jobs ask for GPUs, else cpu-core).",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Attach the commands."""
    for command in (plan, diff, schema):
        app.command()(command)


def plan(
    file: SweepFile,
    set_: Set = None,
    only: Only = None,
    as_json: Json = False,
    resolved: Annotated[
        bool,
        typer.Option(
            "--resolved", help="Print the file with its bases, --set and defaults filled in."
        ),
    ] = False,
    device: Device = None,
    predict: Annotated[
        bool,
        typer.Option("--predict", help="Also the metrics to expect, with 95% intervals."),
    ] = False,
    source: From = Source.PUBLISHED,
    budget: Budget = None,
    fit: Fitted = None,
    criterion: Optimal = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Show a sweep's points and jobs, and what they cost. Runs and writes nothing.

    Example: vitok-sweep plan sweeps/quickstart.yaml --only 'p=16,c=16|32' --json

    Example: vitok-sweep plan sweeps/bottleneck_256p.yaml --budget 2000h --fit slope
    """
    import gc

    from sweep import site as sites
    from sweep.layout import Root
    from sweep.planning.plan import plan_file
    from sweep.planning.planview import (
        MOST_ROWS,
        job_table,
        plan_json,
        point_table,
        summary,
        text_table,
    )
    from sweep.planning.preflight import missing
    from sweep.planning.speeds import with_speeds
    from sweep.rehearsal.speedfile import speeds

    _refuse(budget, fit, criterion, resolved, predict)
    gc.disable()  # a plan is many small objects that live until the end of the process
    here = sites.load(site)
    made = here.equip(plan_file(file, set_ or (), only, device or here.device))
    made = with_speeds(made, speeds(Root(results)))
    if resolved:
        _print_resolved(made, as_json)
        return
    states, other_code = _states(made, results, here.database(db))
    if budget is not None:
        typed = Typed(file, set_ or (), only, results, db, site)
        fitted, best = fit or Fit.SLOPE, criterion or Criterion.C
        print_budgeted(budgeted(made, states, budget, fitted, best, typed), as_json)
        return
    found = expected(made, source, results, here.database(db)) if predict else {}
    if as_json:
        records = expected_records(found)
        lacking = missing(made, here)
        sys.stdout.writelines(plan_json(made, states, other_code, records, lacking))
        return
    print(f"{made.sweep} ({made.file})\n")
    print(text_table(point_table(made), len(made.points)))
    print()
    if predict:
        print_expected(found, source, MOST_ROWS)
        print()
    print(text_table(job_table(made, states), len(made.jobs)))
    print()
    print("\n".join(summary(made, states, other_code)))
    sys.stdout.flush()
    if lacking := missing(made, here):
        listed = "".join(f"\n  {line}" for line in lacking)
        print(f"note: `launch` will submit nothing before this is mended:{listed}", file=sys.stderr)


def _refuse(
    budget: str | None, fit: Fit | None, criterion: Criterion | None, resolved: bool, predict: bool
) -> None:
    """Options that say nothing together."""
    from vitok_core.errors import UserError

    if budget is None and (fit or criterion):
        raise UserError(f"{'--fit' if fit else '--criterion'} is of --budget: add --budget 2000h")
    if budget is not None and (resolved or predict):
        other = "--resolved" if resolved else "--predict"
        raise UserError(f"--budget and {other} are two questions: ask one at a time")


def _print_resolved(made: Plan, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(made.document, indent=1))
        return
    import yaml

    print(f"# {made.file}, resolved: its bases and --set merged, defaults filled in")
    text = yaml.safe_dump(dict(made.document), sort_keys=False, default_flow_style=None, width=99)
    print(text, end="")


def _states(
    made: Plan, results: Path, db: str | None
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Each job's state (planned, where there are no results yet), and the code of those that were
    done by another than this one."""
    from sweep.layout import Root

    if not Root(results).jobs.is_dir():
        return {}, {}
    from sweep.cli.jobs import opened
    from sweep.facts import JobFacts
    from sweep.reconcile import states
    from sweep.snapshot import code_identity
    from sweep.status import poll
    from sweep.store import queries

    store, root = opened(results, db)
    facts = queries.facts(store, [job.id for job in made.jobs])
    codes = queries.codes(store, facts)
    this = code_identity() if codes else None
    other = {job: code for job, code in codes.items() if code != this}
    for job in made.jobs:
        if job.id not in facts:
            facts[job.id] = JobFacts(id=job.id, kind=job.kind, slug=job.slug, parents=job.parents)
    found = states(facts, poll(facts, root)[0])
    return {job: str(state.state) for job, state in found.items()}, other


def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="A sweep file, a job or a point.")],
    new: Annotated[str, typer.Argument(metavar="B", help="What to compare it with.")],
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Show in which fields two points, jobs or sweep files differ.

    Example: vitok-sweep diff sweeps/quickstart.yaml sweeps/bottleneck_256p.yaml
    """
    from sweep.spec.document import is_sweep_file
    from vitok_core.errors import UserError

    files = is_sweep_file(old), is_sweep_file(new)
    if files[0] != files[1]:
        raise UserError(f"{old} and {new}: one is a sweep file and the other is not")
    if files[0]:
        found = _diff_files(old, new)
    else:
        from sweep.store.where import database_url

        found = _diff_jobs(old, new, results, database_url(db, site))
    if as_json:
        import json

        print(json.dumps({"old": old, "new": new, **found.as_json()}, indent=1))
        return
    _print_difference(found)


def _diff_files(old: str, new: str) -> Difference:
    from sweep.planning.diff import diff_plans
    from sweep.planning.plan import plan_file

    return diff_plans(plan_file(old), plan_file(new))


def _diff_jobs(old: str, new: str, results: Path, db: str | None) -> Difference:
    import json

    from sweep.cli.jobs import opened
    from sweep.layout import Root
    from sweep.planning.diff import diff_jobs, diff_points
    from sweep.store.names import resolve_jobs
    from vitok_core.errors import UserError

    if not Root(results).jobs.is_dir():
        raise UserError(f"{old}: no such sweep file, and no jobs in {results} (--results)")
    store, root = opened(results, db)
    specs: dict[str, Any] = {}
    for job, folder in root.job_folders().items():
        specs[job] = json.loads(folder.spec.read_bytes())
    sides: list[list[Any]] = []
    for name in (old, new):
        known = [specs[job] for job in resolve_jobs(store, name) if job in specs]
        if not known:
            raise UserError(f"{name}: its jobs are not launched yet; compare the sweep files")
        trained = [spec for spec in known if spec["kind"] in ("tokenizer", "finetune")]
        sides.append(trained if len(known) > 1 and trained else known[:1])
    if max(map(len, sides)) > 1:
        return diff_points(*sides)
    return diff_jobs(sides[0][0], sides[1][0], specs)


def _print_difference(found: Difference) -> None:
    import json

    from sweep.planning.planview import text_table

    def shown(value: Any) -> str:
        text = json.dumps(value)
        return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."

    if not (found.fields or found.added or found.removed):
        print("no difference")
        return
    if found.fields:
        rows = [[each.field, shown(each.old), "->", shown(each.new)] for each in found.fields]
        print(text_table([["field", "old", "", "new"], *rows], len(rows)))
    for sign, points in (("-", found.removed), ("+", found.added)):
        for point in points[:_MOST_POINTS]:
            print(f"{sign} point {point.slug} ({point.id})")
        if len(points) > _MOST_POINTS:
            print(f"{sign} ... {len(points) - _MOST_POINTS:,} more; --json prints all")


def schema() -> None:
    """Print the JSON Schema of sweep files, for editors.

    Example: vitok-sweep schema > sweep.schema.json
    """
    import json

    from sweep.spec.schema import sweep_schema

    print(json.dumps(sweep_schema(), indent=1))
