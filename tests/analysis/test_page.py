"""The report page as a file: what it holds, and that it says what it lacks."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ledgers import ledger
from reading import Reader, read
from synthetic import FRECHET, quickstart, results

import analysis
from analysis.claims import judge
from analysis.claims.verdict import Region, Verdict, Word
from analysis.fits import Line, fit_lines
from analysis.frames import Results
from analysis.page import Page, render, write_page
from analysis.page.ledger import Ledger
from analysis.page.lines import fits_table
from analysis.page.origin import cost
from analysis.page.runs import run_table
from analysis.page.verdicts import claims_table
from analysis.published.measured import measured


@pytest.fixture(scope="module")
def made() -> Results:
    return quickstart(cfg=(1.5, 3.0))


@pytest.fixture(scope="module")
def known(made: Results, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return ledger(made, tmp_path_factory.mktemp("page"), sheets=3, failed=2)


@pytest.fixture(scope="module")
def file(made: Results, known: Ledger) -> Path:
    return write_page(made, known.root, known).path


@pytest.fixture(scope="module")
def page(file: Path) -> Reader:
    return read(file)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of the paper alone."""
    return write_page(analysis.load_published(), tmp_path_factory.mktemp("paper"))


def targets(reader: Reader) -> Iterator[str]:
    for tag, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if attributes.get(name) is not None:
                yield str(attributes[name])
        assert tag not in ("iframe", "object", "embed", "base"), tag
        assert not [name for name in attributes if name.startswith("on")]


def test_it_refers_to_nothing_outside_itself(page: Reader) -> None:
    assert {target.partition(":")[0] for target in targets(page) if target[0] != "#"} == {"data"}
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|\bimport\(", page.raw["module"])


def test_its_policy_names_its_own_script_and_style_only(page: Reader) -> None:
    (policy,) = [
        str(attributes["content"])
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for rule, body in (("script-src", "module"), ("style-src", "style")):
        digest = hashlib.sha256(page.raw[body].encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_the_overview_counts(page: Reader) -> None:
    said = page.said("overview")
    # 45 tokenizers, each scored on two data sets and at two CFG scales, and 15 × 2 floors.
    for words in ("points of ours 45", "configurations 15", "jobs 255", "253 done", "2 failed"):
        assert words in said
    # 6 metrics × 2 data sets × (45 + 15), 2 metrics × 2 scales × 45
    assert "numbers measured 900" in said


def test_charts_hold_every_number_once(page: Reader, made: Results) -> None:
    data = page.data
    panels = {(one["metric"], one["dataset"]): one for one in data["panels"]}
    assert len(panels) == len(data["panels"]) == 6 * 2 + 2 * 2
    shown = panels["rPSNR", "photos-heldout"]
    series = [data["places"]["series"][place] for place in shown["at"]]
    ours = [value for value, name in zip(shown["value"], series, strict=True) if name == "trained"]
    where = {"kind": "reconstruct", "metric": "rPSNR", "dataset": "photos-heldout"}
    np.testing.assert_allclose(
        sorted(ours), made.point_metrics.filter(**where)["value"].sort(), rtol=1e-6
    )
    assert series.count("PCA floor") == 15
    assert panels[FRECHET, "photos-tune"]["log"]
    assert data["metrics"][0]["name"] == FRECHET  # reconstructions before generations
    assert panels["gFD[efficientnet-lite0]", "photos-train, CFG 3"]["cfg"] == 3


def test_a_drawn_line_is_the_fit(page: Reader, made: Results) -> None:
    (panel,) = [
        one
        for one in page.data["panels"]
        if (one["metric"], one["dataset"]) == ("rPSNR", "photos-heldout")
    ]
    means = (
        made.wide(dataset="photos-heldout").group_by("config_id").agg(
            pl.col("E").first(), pl.col("rPSNR").mean()
        )
    )  # fmt: skip
    slope, intercept = np.polyfit(np.log2(means["E"]), means["rPSNR"], 1)
    (line,) = [one for one in panel["lines"] if one["series"] == "trained"]
    np.testing.assert_allclose(line["y"], intercept + slope * np.log2(line["x"]), rtol=2e-3)
    assert (line["x"][0], line["x"][-1]) == (16, 4096)
    assert "n = 15" in line["text"]


def test_marks_know_their_row_and_their_picture(page: Reader) -> None:
    data = page.data
    rows = [t for t in page.tags if t[0] == "img"]
    assert len(rows) == 45 + 15
    (panel,) = [
        one
        for one in data["panels"]
        if (one["metric"], one["dataset"]) == ("rSSIM", "photos-heldout")
    ]
    alts = [str(attributes["alt"]) for _, attributes in rows]
    for place, picture in zip(panel["at"], panel["picture"], strict=True):
        if data["places"]["series"][place] == "trained":
            p, c, seed = (data["places"][name][place] for name in ("p", "c", "seed"))
            assert alts[picture].endswith(f"differences of p{p}-c{c}-s{seed}")
        else:
            assert "PCA floor of" in alts[picture]


def test_the_run_table_says_how_each_point_stands(made: Results, tmp_path: Path) -> None:
    rows = made.measurements.unique(["job_id", "metric", "protocol"], maintain_order=True)
    table = run_table(made, rows, ledger(made, tmp_path, failed=2)).table
    at = {column.label: n for n, column in enumerate(table.columns)}
    assert len(table.rows) == 45
    states = [row[at["state"]].text for row in table.rows]
    assert states.count("done") == 43
    # A tokenizer, a reconstruction on each of two data sets, a generation at each of two scales.
    assert states.count("failed (4 of 5 jobs done)") == 2
    assert "encoder" not in at  # the same for all
    wide = made.wide(dataset="photos-heldout").filter(point_id="cfg-p8c16-s1")
    (row,) = [row for row in table.rows if row[0].text == "p8-c16-s1"]
    scored = [n for n, one in enumerate(table.columns) if one.note == "photos-heldout"]
    shown = {table.columns[n].label.split()[0]: row[n].value for n in scored}
    assert shown == wide.select(*shown).to_dicts()[0]
    assert len(shown) == 6
    assert row[at["E"]].text == "1024"


def test_cost_adds_up(made: Results, tmp_path: Path) -> None:
    table = cost(ledger(made, tmp_path, failed=2))
    at = {column.label: n for n, column in enumerate(table.columns)}
    rows = {row[0].text: row for row in table.rows}
    assert rows["tokenizer"][at["finished"]].value == 43
    assert rows["tokenizer"][at["median job"]].text == "90 s"
    hours = (45 * 90 + 90 * 4 + 30 * 2 + 90 * 2) / 3600
    assert rows["all"][at["device-hours"]].value == pytest.approx(hours)
    lost = rows["all"][at["of these without a result"]].value
    assert lost == pytest.approx(2 * 90 / 3600)


def test_provenance_names_code_packages_machines_and_data(page: Reader) -> None:
    said = page.said("provenance")
    for word in ("6d7cb091b7100c54", "torch 2.6.0", "node1", "fp32", "photos-train 1", "ab" * 32):
        assert word in said
    assert "0 15 15 1 15 15 2 15 15" in said  # seeds: points, configurations


def test_what_was_adopted_is_named_and_costs_nothing(made: Results, tmp_path: Path) -> None:
    book = ledger(made, tmp_path)
    told = json.dumps({"source": "/elsewhere/final.pt", "sha256": "cd" * 32, "form": "weights"})
    first = pl.col("job_id") == book.attempts["job_id"][0]
    adopted = pl.when(first).then(pl.lit(told))
    book = replace(book, attempts=book.attempts.with_columns(adopted=adopted))
    said = read(write_page(made, tmp_path, book).path).said("provenance")
    for word in ("/elsewhere/final.pt", "cd" * 32, "names and shapes alone"):
        assert word in said
    jobs = {row[0].text: row[2].value for row in cost(book).rows}
    assert jobs["all"] == book.attempts.height - 1


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    bad = "</script><script>hit</script>\"'&"
    plain = quickstart(patches=(16,), channels=(16,), seeds=(0,))
    metrics = plain.point_metrics.with_columns(metric=bad + pl.col("metric"), dataset=pl.lit(bad))
    made = results(plain.points.with_columns(slug=pl.lit(bad)).to_dicts(), metrics.to_dicts())
    reader = read(write_page(made, tmp_path, ledger(made, tmp_path)).path)
    assert [attributes for tag, attributes in reader.tags if tag == "script"] == [
        {"type": "application/json", "id": "data"}, {"type": "module"},
    ]  # fmt: skip
    assert reader.said("runs").count(bad) >= 2
    assert reader.data["panels"][0]["dataset"] == bad


def test_the_same_results_give_the_same_bytes(
    made: Results, known: Ledger, file: Path, tmp_path: Path
) -> None:
    assert write_page(made, tmp_path, known).path.read_bytes() == file.read_bytes()


def test_of_a_sweep_without_scores_the_page_says_so(tmp_path: Path) -> None:
    plain = quickstart(patches=(16,), channels=(4, 16), seeds=(0,))
    made = results(plain.points.to_dicts(), [])
    written = write_page(made, tmp_path, ledger(made, tmp_path))
    reader = read(written.path)
    assert any("no reconstruction has been scored yet" in note for note in written.notes)
    assert "p16-c4-s0" in reader.said("runs")
    assert "Nothing to fit yet" in reader.said("fits")
    assert reader.data["panels"] == []


def test_the_paper_alone_needs_no_results(paper: Page) -> None:
    reader = read(paper.path)
    assert "S-B/8 c4 256p" in reader.said("runs")
    assert "0.94" in reader.said("fits").split()  # Figure 2 prints it, and the fit gives it
    first = reader.data["metrics"][0]
    main = [reader.data["panels"][n] for n in first["main"]]
    assert [(one["metric"], one["protocol"][-8:]) for one in main] == [("rFID", "Figure 2")] * 2


@pytest.mark.parametrize(
    ("cfg", "p", "said"),
    [
        (1.5, 16, "min 6.12 at E = 3487 (3334 … 3635)"),
        (1.5, 8, "min 5.56 at E = 5063 (4623 … 5465), at the edge of the grid"),
        (3.0, 8, "max 21.2 at E = 2765, not established: no finite 95% interval"),
    ],
)
def test_an_optimum_is_said_with_its_interval(cfg: float, p: int, said: str) -> None:
    rows = measured("5").filter(pl.col("metric") == "gFID", cfg_scale=cfg, p=p)
    table = fits_table(fit_lines(rows, Line("quadratic")))
    at = [column.label for column in table.columns].index("optimum")
    assert [row[at].text for row in table.rows] == [said]


def test_other_protocols_have_panels_of_their_own(made: Results, tmp_path: Path) -> None:
    reader = read(write_page(made.with_published(), tmp_path).path)
    panels, menu = reader.data["panels"], {m["name"]: m for m in reader.data["metrics"]}
    for one in panels:
        assert one["protocol"]
    keys = [(p["metric"], p["dataset"], p["source"], p["protocol"]) for p in panels]
    assert len(set(keys)) == len(keys)
    beside = [panels[n] for n in menu["rPSNR"]["main"]]
    assert {one["source"] for one in beside} == {"db", "published"}
    # The paper's rFID stands beside our offline distance, and gFID beside none of them.
    assert {panels[n]["metric"] for n in menu[FRECHET]["main"]} == {FRECHET, "rFID"}


CLAIM = Verdict(
    id="e-predicts-rfid", statement="log E predicts <rFID>", paper="§3.1", family="E",
    kind="effect", source="published", verdict=Word.SUPPORTED, statistic=0.9432,
    unit="R² of a line", interval=(0.88, math.inf), threshold=Region(0.8), margin="four fifths",
    needs="", n=15, tokenizers=15, runs=("S-B/16 c16",), metric="rFID", power=0.9,
    note="least sure: coco2017",
)  # fmt: skip


def test_claims_are_shown_as_they_were_judged(
    made: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubted = replace(CLAIM, id="z", verdict=Word.CONTRADICTED, statistic=math.nan, runs=())
    open_ = replace(CLAIM, id="y", verdict=Word.INCONCLUSIVE, source="db", power=0.53)
    monkeypatch.setattr(render, "judge", lambda _: [CLAIM, doubted, open_])
    reader = read(write_page(made, tmp_path).path)
    said = reader.said("claims")
    assert "1 contradicted 1 inconclusive 1 supported" in said
    statistic = "0.9432 (0.88 … inf), claimed > 0.8 R² of a line; rFID"
    assert f"e-predicts-rfid log E predicts <rFID> §3.1 paper's supported {statistic} 15" in said
    assert f"ours inconclusive {statistic} 53% 15" in said  # power: of an open test alone
    titles = [attributes.get("title") for tag, attributes in reader.tags if tag == "td"]
    assert titles.count("least sure: coco2017") == titles.count("four fifths") == 3
    assert titles.count("rests on S-B/16 c16") == 2
    marks = [attributes.get("class") for tag, attributes in reader.tags if tag == "td"]
    assert "verdict-contradicted" in marks


def test_every_published_verdict_has_its_row() -> None:
    judged = judge(analysis.load_published())
    rows = {row[0].text: [cell.text for cell in row] for row in claims_table(judged).rows}
    assert len(rows) == len(judged)
    for one in judged:
        row = rows[one.id]
        assert row[4] == one.verdict
        assert one.unit in row[6]
        assert one.metric is None or row[6].endswith(one.metric)
    assert rows["e-straight-rssim"][5] == "0.6842 (0.262 … 1.11), claimed ±0.5"


def test_what_figures_warn_of_stands_first(made: Results, tmp_path: Path) -> None:
    """512 images do not span the 1280 features of the synthetic protocols; 112 they do."""
    written = write_page(made, tmp_path)
    read = Reader(written.path.read_text("utf-8"))
    first = read.said("overview")
    assert f"{FRECHET} is the Fréchet distance of an offline network; it is not FID" in first
    assert "rIS[efficientnet-lite0] is of an offline network; it is not IS" in first
    assert first.count("512 images for 1280 features") == 2  # of rFD and gFD
    assert "images for 112 features" not in first
    assert f"{FRECHET} is biased: 512 images for 1280 features; compare within a run" in (
        written.notes
    )


def test_the_paper_s_own_fid_is_no_warning(paper: Page) -> None:
    assert "FID" not in " ".join(paper.notes)


def test_lines_of_variants_are_told_apart_and_span_their_own_marks(paper: Page) -> None:
    data = read(paper.path).data
    (panel,) = [
        one for one in data["panels"]
        if one["metric"] == "rFID" and one["protocol"].endswith("Figure 20")
    ]  # fmt: skip
    texts = [line["text"].partition(":")[0] for line in panel["lines"]]
    assert texts == ["trained, mask latent", "trained, mask simple", "trained, simple"]
    for line, variant in zip(panel["lines"], ("mask_latent", "mask_simple", "simple"), strict=True):
        rows = analysis.load_published().measurements
        sizes = rows.filter(figure="20", metric="rFID", variant=variant)["E"]
        assert [line["x"][0], line["x"][-1]] == pytest.approx([sizes.min(), sizes.max()])
