"""`reproduce`: the paper's experiments at laptop scale, run to the end, and their report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import INTERRUPTED, NOTHING_TO_DO, SOME_FAILED
from sweep.cli.options import AtOnce, Database, Results, SchedulerName, Site
from sweep.cli.printing import say
from sweep.cli.running import launch
from vitok_core.errors import UserError

if TYPE_CHECKING:
    from analysis.frames import Results as Loaded


# Sweep → the figures that it feeds; each is drawn from that sweep's points alone.
MINI: Mapping[str, tuple[str, ...]] = {
    "mini_bottleneck": (
        "e_vs_metrics", "e_vs_metrics_detailed", "residuals_at_equal_e", "pareto",
        "cost_vs_quality", "learning_curves", "reconstructions",
    ),
    "mini_search": (),
    "mini_baselines": ("e_vs_metrics",),
    "mini_precision": (),
    "mini_resolution": ("e_vs_metrics_512p",),
    "mini_model_size": ("encoder_vs_metrics", "decoder_vs_metrics"),
    "mini_training_length": ("e_vs_metrics", "learning_curves"),
    "mini_loss_tradeoff": ("loss_tradeoff", "reconstructions"),
    "mini_gan_ablation": ("gan_ablation",),
    "mini_variants": ("latent_vs_simple", "mask_vs_simple"),
    "mini_video": ("video_e_vs_metrics", "video_pq", "video_reconstructions"),
    "mini_video_frames": ("video_frames",),
    "mini_generation": ("e_vs_generation", "c_vs_generation", "samples"),
}  # fmt: skip
TABLES = (2, 3, 5)  # of the paper's, those that these sweeps have rows for
ROOT = Path("results/mini")


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(reproduce)


def reproduce(
    mini: Annotated[
        bool, typer.Option("--mini", help="The sweeps of sweeps/mini: two CPU cores, no GPU.")
    ] = False,
    scheduler: SchedulerName = None,
    jobs: AtOnce = None,
    results: Results = ROOT,
    db: Database = None,
    site: Site = None,
) -> None:
    """Run the paper's experiments at laptop scale; write figures, tables, claims and the page.

    Killed at any moment, or with some of it done, the same command goes on with what is missing.

    Example: vitok-sweep reproduce --mini

    All of it goes to reports/mini in the results root: a folder of figures for each sweep, the
    tables, claims.txt and claims.json, report.html, and the numbers in export/. Exit codes: 0 all
    done, 2 something is missing here, 4 some jobs failed, and the report is of the others, 130
    interrupted.
    """
    from sweep.layout import Root
    from sweep.store.where import database_url

    if not mini:
        raise UserError(
            "reproduce: say --mini; at full scale each sweep is launched by itself, for example "
            "`vitok-sweep launch bottleneck_256p`"
        )
    _refuse_what_lacks(site)
    failed = [name for name in MINI if not _ran(name, scheduler, jobs, results, db, site)]
    out = Root(results).reports / "mini"
    _report(results, database_url(db, site), out)
    print(out)
    if failed:
        say(f"some jobs failed in {', '.join(failed)}: the report is of the others")
        raise typer.Exit(SOME_FAILED)


def _refuse_what_lacks(site: Path | None) -> None:
    """Ask for all data and weights before the first hour, not in the middle.

    Raises:
        UserError: what this machine lacks.
    """
    from sweep import site as sites
    from sweep.planning.plan import plan_file
    from sweep.planning.preflight import missing

    here = sites.load(site)
    plans = [plan_file(name, device=here.device) for name in MINI]
    lacking = dict.fromkeys(line for plan in plans for line in missing(plan, here))
    if lacking:
        raise UserError("nothing was submitted:" + "".join(f"\n  {line}" for line in lacking))


def _ran(
    name: str,
    scheduler: str | None,
    jobs: int | None,
    results: Path,
    db: str | None,
    site: Path | None,
) -> bool:
    """Run what a sweep lacks; whether all of it is done.

    Raises:
        typer.Exit: the user interrupted it, or the scheduler does not answer.
    """
    say(f"{name} ({list(MINI).index(name) + 1} of {len(MINI)})")
    try:
        launch(name, scheduler, jobs, yes=True, results=results, db=db, site=site)
    except typer.Exit as ended:
        if ended.exit_code == SOME_FAILED:
            return False
        if ended.exit_code != NOTHING_TO_DO:
            say("`vitok-sweep reproduce --mini` again goes on from here")
            # Where Ctrl-C ends a launch, 0 says that its jobs go on; here not all is done.
            raise typer.Exit(ended.exit_code or INTERRUPTED) from None
    return True


def _report(results: Path, url: str | None, out: Path) -> None:
    """Write what there is into one folder."""
    import analysis
    from analysis.tables import table, write
    from analysis.writing import put
    from sweep.cli.jobs import opened
    from sweep.cli.reportpage import ledger_of, write_report_page
    from sweep.store import export
    from sweep.store.views import EXPORTED

    loaded = analysis.load(results, db=url)
    both = loaded.with_published()
    for name, figures in MINI.items():
        if not figures:
            continue
        _draw(analysis.load(results, sweep=name, db=url), figures, out / name)
    for number in TABLES:
        write(table(number, both), out, ["md", "csv"])
    put(out, dict(_claims(both)))
    store, _ = opened(results, url)
    export.export(store, out / "export", "parquet", EXPORTED, overwrite=True)
    store.close()
    write_report_page(loaded, ledger_of(results, url, None), out, show=False, as_json=False)


def _draw(loaded: Loaded, figures: tuple[str, ...], out: Path) -> None:
    """Draw a sweep's figures; one without data is named with the reason."""
    from analysis.report import draw
    from analysis.writing import Unwritable

    for figure in figures:
        try:
            draw(loaded, figure, out)
        except Unwritable:
            raise
        except UserError as reason:
            say(f"not drawn: {out.name}/{figure}: {reason}")


def _claims(both: Loaded) -> Iterator[tuple[str, bytes]]:
    """The paper's claims on our numbers and on its own, for people and as `report --claims`
    prints them for programs."""
    from analysis.claims import judge, text

    verdicts = judge(both)
    records = [one.record() for one in verdicts]
    yield "claims.txt", (text.plain(verdicts) + "\n").encode()
    yield "claims.json", (json.dumps(records, indent=1, ensure_ascii=False) + "\n").encode()
