"""From results to `report.html`: content, template, and a policy that shuts the network out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis.claims import judge
from analysis.figures.words import metric_notes
from analysis.frames import Results
from analysis.guidance import guidance
from analysis.measurements import distinct
from analysis.page.charts import Pictures, chart_data
from analysis.page.guided import guidance_table
from analysis.page.ledger import Ledger
from analysis.page.lines import fits_table
from analysis.page.origin import cost, provenance
from analysis.page.overview import summarise
from analysis.page.pictures import LIMIT, Gallery, gallery
from analysis.page.rivals import codec_table, floor_table
from analysis.page.runs import run_table
from analysis.page.samples import Samples, samples
from analysis.page.verdicts import claims_table, counted
from analysis.report import Overview, overview
from analysis.summary import not_compared
from analysis.writing import put
from vitok_core.errors import UserError

NAME = "report.html"
_STYLES = ("page.css", "tables.css", "charts.css")
_SCRIPTS = ("table.js", "scale.js", "chart.js", "tip.js", "charts.js", "page.js")


@dataclass(frozen=True)
class Page:
    """What was written."""

    path: Path
    size: int  # bytes
    notes: tuple[str, ...]


def write_page(
    results: Results, out: Path, ledger: Ledger | None = None, *, picture_limit: int = LIMIT
) -> Page:
    """Write `out/report.html`, replaced as a whole; the same results give the same bytes.

    Args:
        results: loaded results: ours, the paper's or both.
        ledger: what the index says of jobs, for states, pictures, provenance and cost.
        picture_limit: characters of pictures (data URIs) that the page may hold.

    Raises:
        UserError: a folder that cannot be written.
    """
    seen, said = _seen(results)
    rows = _measured(results)
    notes = (*metric_notes(rows), *said)
    slugs = dict(results.points.select("point_id", "slug").rows())
    drawn = samples(rows, slugs, ledger, picture_limit // 2, results.sweep)
    shown = gallery(rows, slugs, ledger, picture_limit - drawn.size, results.sweep)
    text = _render(results, rows, ledger, seen, shown, drawn, notes).encode()
    (path,) = put(out, {NAME: text})
    return Page(path, len(text), (*notes, *shown.notes, *drawn.notes))


def _render(
    results: Results,
    rows: pl.DataFrame,
    ledger: Ledger | None,
    seen: Overview | None,
    shown: Gallery,
    drawn: Samples,
    notes: Sequence[str],
) -> str:
    """The whole page as text."""
    runs = run_table(results, rows, ledger)
    jobs = [*(one.job_id for one in shown.pictures), *(one.job_id for one in drawn.sheets)]
    pictures = Pictures(
        {job: n for n, job in enumerate(jobs)},
        {one.point_id: n for n, one in reversed(list(enumerate(shown.pictures)))},
    )
    judged = judge(results)
    fits = seen.fits if seen else []
    style = "".join(_file(name) for name in _STYLES)
    script = "".join(_file(name) for name in _SCRIPTS)
    return _template().render(
        title=_title(results),
        sources=results.sources,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        notes=notes,
        summary=summarise(results, rows, runs.points, ledger),
        runs=runs,
        gallery=shown,
        samples=drawn,
        claims=claims_table(judged),
        verdicts=counted(judged),
        fits=fits_table(fits),
        floors=floor_table(seen.floor if seen else ()),
        codecs=codec_table(seen.codecs if seen else ()),
        not_compared=not_compared(seen.uncompared if seen else ()),
        guidance=guidance_table(guidance(rows)),
        provenance=provenance(ledger, results.points) if ledger is not None else [],
        cost=cost(ledger) if ledger is not None else None,
        data=chart_data(rows.filter(pl.col("series") != "baseline"), fits, runs.rows, pictures),
    )


def _measured(results: Results) -> pl.DataFrame:
    """Each number once, reconstructions before generations."""
    return distinct(results.measurements).sort(pl.col("kind") == "generate", maintain_order=True)


def _seen(results: Results) -> tuple[Overview | None, tuple[str, ...]]:
    """Every line and its notes; or, where nothing has been scored yet, the reason why there is
    none."""
    try:
        seen = overview(results)
    except UserError as reason:
        return None, (str(reason),)
    return seen, seen.notes


def _title(results: Results) -> str:
    if results.sources == ("published",):
        return "The paper's numbers"
    return f"Sweep {results.sweep}" if results.sweep else "All sweeps"


def _policy(style: str, script: str) -> str:
    """Only our own script and style, known by their hashes; pictures from the page itself."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _file(name: str) -> str:
    return resources.files("analysis.page").joinpath("template", name).read_text("utf-8")


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("analysis.page", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template("page.html")
