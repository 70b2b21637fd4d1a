"""`predict`, `plan --predict`, `status --check`: what the points so far lead one to expect."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site
from sweep.cli.printing import print_json

if TYPE_CHECKING:
    from analysis.frames import Results as Loaded
    from analysis.predict import Expectation, Prediction, Query
    from sweep.layout import Root
    from sweep.model import Plan, Point
    from sweep.status import JobStatus
    from sweep.store import Store


class Source(StrEnum):
    """Whose points a prediction stands on."""

    PUBLISHED = "published"
    DB = "db"


From = Annotated[
    Source,
    typer.Option(
        "--source",
        help="Whose points to predict from: the paper's (needs no results), or our database's.",
    ),
]

_USUAL = " Default: what all points have, else that of an image at 256 px."


def register(app: typer.Typer) -> None:
    """Attach `predict`."""
    app.command()(predict)


def predict(
    encoder: Annotated[
        str,
        typer.Option(
            help="Encoder size: S, B, L, with --source db a name of your sweeps (the quickstart's "
            "T1), or width, blocks and heads: w128b2h4."
        ),
    ],
    decoder: Annotated[str, typer.Option(help="Decoder size, as the encoder's.")],
    patch: Annotated[int, typer.Option(help="Spatial patch p, in pixels.")],
    channels: Annotated[int, typer.Option(help="Channels c per token.")],
    stride: Annotated[
        int | None, typer.Option(help="Temporal stride q, in frames." + _USUAL)
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Height, width in px." + _USUAL)] = None,
    frames: Annotated[int | None, typer.Option(help="Frames T; 1: images." + _USUAL)] = None,
    source: From = Source.PUBLISHED,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", metavar="NAME", help="Of the database: this sweep's points only."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="E.g. rFID; repeatable. Default: all."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="NAME", help="Repeatable. Default: all."),
    ] = None,
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Expect a tokenizer's reconstruction metrics (stage 1), with 95% prediction intervals.

    Example: vitok-sweep predict --encoder S --decoder B --patch 16 --channels 24

    Example: vitok-sweep predict --source db --encoder T1 --decoder T2 --patch 16 --channels 24
    """
    from analysis.predict import ask, predict_all
    from sweep.store.where import database_url
    from vitok_core.errors import UserError

    if source is Source.PUBLISHED and sweep is not None:
        raise UserError("--sweep is of the database's points: add --source db, or leave it out")
    url = database_url(db, site) if source is Source.DB else None
    loaded = _loaded(source, results, url, sweep)
    asked = {"stride": stride, "resolution": resolution, "frames": frames}
    query, note = ask(loaded, encoder, decoder, patch, channels, **asked)
    _tell("note", filter(None, [note]))
    (found,) = predict_all(loaded, [query], metrics=metric or (), datasets=dataset or ())
    if not found.predictions:
        raise UserError(f"{loaded.source}: nothing to predict from: {'; '.join(found.notes)}")
    if as_json:
        print_json({"query": query.record(), "source": str(source), **_record(found)})
        return
    _print(query, found)


def expected(made: Plan, source: Source, results: Path, db: str | None) -> dict[str, Expectation]:
    """What every point of a plan is expected to score, by the point's id."""
    from analysis.predict import predict_all

    loaded = _loaded(source, results, db, None)
    found = predict_all(loaded, [_query(point) for point in made.points])
    return {point.id: one for point, one in zip(made.points, found, strict=True)}


def expected_records(found: Mapping[str, Expectation]) -> dict[str, dict[str, Any]]:
    """The entries of `plan --predict --json`, by the point's id."""
    return {point: _record(one) for point, one in found.items()}


def expected_table(found: Mapping[str, Expectation], rows: int) -> list[list[str]]:
    """A line per point, a column per metric and data set; `*` marks an extrapolation."""
    shown = list(found.items())[:rows]
    marks = _marks([p for one in found.values() for p in one.predictions])
    columns = list(dict.fromkeys(_column(p, marks) for _, one in shown for p in one.predictions))
    table = [["point", *(" ".join(filter(None, column)) for column in columns)]]
    for point, one in shown:
        cells = {_column(p, marks): _cell(p) for p in one.predictions}
        table.append([point, *(cells.get(column, "-") for column in columns)])
    return table


def print_expected(found: Mapping[str, Expectation], source: Source, rows: int) -> None:
    """The table, and beside it what must be said of it."""
    from sweep.planning.planview import text_table

    told = sorted({note for one in found.values() for note in one.notes})
    extrapolated = any(p.warnings for one in found.values() for p in one.predictions)
    print(f"Expected, with 95% prediction intervals (from: {source})")
    table = expected_table(found, rows)
    print(text_table(table, len(found)) if len(table[0]) > 1 else "(no point has any)")
    if extrapolated:
        print("* extrapolated: outside what was measured, --json says how")
    for (protocol, loss), mark in _marks(
        [p for one in found.values() for p in one.predictions]
    ).items():
        print(f"{mark} {protocol}; loss {loss}")
    _tell("note", told)


def checked(store: Store, root: Root, jobs: Iterable[JobStatus]) -> dict[str, Any]:
    """Finished scores of `jobs` against what the other points of their sweeps give.

    The document of `status --check --json`: the number of `scores` that were held against an
    interval, those `outside`, and `notes` on what could not be.
    """
    from analysis.frames import read
    from analysis.outliers import check
    from sweep.store.names import sweep_jobs, sweep_names

    shown = {job.id for job in jobs}
    with store.read() as connection:
        names = sweep_names(connection)
    found = {
        name: check(read(store, root, name), shown)
        for name in names
        if shown.intersection(sweep_jobs(store, name))
    }
    outside = {  # sweeps share jobs
        (each.job_id, each.metric, each.protocol): each.record()
        for one in found.values()
        for each in one.outliers
    }
    return {
        "scores": len({score for one in found.values() for score in one.scores}),
        "outside": list(outside.values()),
        "notes": [f"{name}: {note}" for name, one in found.items() for note in one.notes],
    }


def print_checked(found: Mapping[str, Any]) -> None:
    """The document of `checked` as text."""
    from sweep.planning.planview import text_table

    outside, scores = found["outside"], found["scores"]
    _tell("note", found["notes"])
    print(
        f"{len(outside)} of {scores} scores fall outside the 95% interval that the other points "
        f"of their sweep give ({0.05 * scores:.0f} would by chance)"
    )
    if outside:
        rows = [
            [each["job_id"], each["dataset"], each["metric"], _number(each["value"]),
             _number(each["expected"]), _number(each["low"]), _number(each["high"])]
            for each in outside
        ]  # fmt: skip
        heading = ["job", "data set", "metric", "scored", "expected", "low", "high"]
        print(text_table([heading, *rows], len(rows)))


def _loaded(source: Source, results: Path, db: str | None, sweep: str | None) -> Loaded:
    import analysis

    if source is Source.PUBLISHED:
        return analysis.load_published()
    return analysis.load(results, sweep=sweep, db=db)


def _query(point: Point) -> Query:
    """A planned point; towers of its sweep's own by their numbers, which all sweeps know."""
    from analysis.predict import Query
    from sweep.spec.fields import tower_name
    from vitok_core.variants import Tower

    tokenizer = point.config["tokenizer"]
    encoder, decoder = (
        tower_name(Tower.model_validate(dict(tokenizer[name]))) for name in ("encoder", "decoder")
    )
    return Query(encoder, decoder, point.p, point.c, point.q, point.resolution, point.frames)


def _record(found: Expectation) -> dict[str, Any]:
    predictions = [each.record() for each in found.predictions]
    return {"predictions": predictions, "notes": list(found.notes)}


def _print(query: Query, found: Expectation) -> None:
    from sweep.planning.planview import text_table

    shape = query.shape
    print(
        f"E = {shape.code} (L {shape.tokens} × c {query.channels}), "
        f"{shape.pixels_per_channel:.4g} pixels per channel\n"
    )
    losses = len({each.loss for each in found.predictions}) > 1
    marks = _marks(found.predictions)
    heading = ["data set", "metric", *(["loss"] if losses else [])]
    heading += ["expected", "low", "high", "points"]
    rows = [
        [each.dataset, " ".join(filter(None, (each.metric, marks.get(_way(each), "")))),
         *([str(each.loss)] if losses else []),
         *map(_number, (each.expected, each.low, each.high)), str(each.n)]
        for each in found.predictions
    ]  # fmt: skip
    print(text_table([heading, *rows], len(rows)))
    print("\nlow, high: 95% of new runs fall between them. Protocols")
    for way in dict.fromkeys(map(_way, found.predictions)):
        print(f"  {' '.join(filter(None, (marks.get(way, ''), way[0])))}")
    _tell("note", found.notes)
    warned: dict[str, list[str]] = {}
    for each in found.predictions:
        for line in each.warnings:
            warned.setdefault(line, []).append(each.dataset)
    _tell("warning: extrapolation", _where(warned))


def _where(warned: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{', '.join(dict.fromkeys(names))}: {line}" for line, names in warned.items()]


_Way = tuple[str, str]


def _way(each: Prediction) -> _Way:
    """By which protocol, after training with which loss: numbers of several are no one number."""
    return each.protocol, str(each.loss)


def _marks(predictions: Sequence[Prediction]) -> dict[_Way, str]:
    """`[a]`, `[b]`, … of what was measured in several ways; {} where nothing was."""
    ways: dict[tuple[str, str], dict[_Way, None]] = {}
    for each in predictions:
        ways.setdefault((each.metric, each.dataset), {})[_way(each)] = None
    several = dict.fromkeys(way for found in ways.values() if len(found) > 1 for way in found)
    return {way: f"[{_letters(number)}]" for number, way in enumerate(several)}


def _letters(number: int) -> str:
    """0 → a, 25 → z, 26 → aa."""
    more, last = divmod(number, 26)
    return (_letters(more - 1) if more else "") + chr(ord("a") + last)


def _column(each: Prediction, marks: Mapping[_Way, str]) -> tuple[str, ...]:
    return (each.metric, each.dataset, marks.get(_way(each), ""))


def _cell(each: Prediction) -> str:
    mark = "*" if each.warnings else ""
    return f"{_number(each.expected)} ({_number(each.low)}..{_number(each.high)}){mark}"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _tell(kind: str, lines: Iterable[str]) -> None:
    for line in dict.fromkeys(lines):
        print(f"{kind}: {line}", file=sys.stderr)
