"""Sheets of pictures: each in its place, with its numbers; missing ones told."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from pages import assert_text_is_whole, texts
from PIL import Image
from synthetic import quickstart
from trained import append, artifact, jobs, root_of

import analysis
from analysis import report
from analysis.figures import FIGURES, Drawing, Request
from sweep.layout import JobFolder, Root
from vitok_core.errors import UserError
from vitok_core.metrics.sheet import write_sheet

REPO = Path(__file__).parent.parent.parent
GRID: dict[str, Any] = {"patches": (8, 16), "channels": (4, 16), "datasets": ("photos-heldout",)}


def draw(folder: Path, figure: str = "reconstructions", *datasets: str) -> Drawing:
    return FIGURES[figure].draw(analysis.load(folder), Request(datasets=datasets))


def shade(job: JobFolder) -> int:
    """A grey that tells a job's pictures apart."""
    return int(hashlib.sha256(job.id.encode()).hexdigest()[:2], 16) // 2


def with_sheets(folder: Path, **options: Any) -> Root:
    """A root whose reconstruct jobs left sheets: originals of 200, reconstructions of `shade`."""
    root = root_of(folder, quickstart(**{"seeds": (0,), **GRID, **options}))
    for job in jobs(root, "reconstruct"):
        job.artifacts.mkdir()
        write_sheet(
            job.artifacts / "sheet.png",
            torch.full((8, 3, 64, 64), 200, dtype=torch.uint8),
            torch.full((8, 3, 64, 64), shade(job), dtype=torch.uint8),
        )
        append(job, 1, [artifact("sheet.png", "sheet")])
    return root


def with_pictures(
    folder: Path, kind: str, job_kind: str, size: tuple[int, int], **options: Any
) -> Root:
    """A root whose jobs of a kind left whole pictures."""
    root = root_of(folder, quickstart(**{"seeds": (0,), **GRID, **options}))
    for job in jobs(root, job_kind):
        job.artifacts.mkdir()
        Image.new("RGB", size, (shade(job),) * 3).save(job.artifacts / "x.png")
        append(job, 1, [artifact("x.png", kind)])
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return with_sheets(tmp_path_factory.mktemp("sheets"))


def placed(figure: Figure) -> list[tuple[float, float, int]]:
    """Left edge, upper edge (from the top, rounded) and the grey of every picture."""
    found = []
    for axes in figure.axes:
        box = axes.get_position()
        pixels: NDArray[np.uint8] = np.asarray(axes.images[0].get_array())
        found.append((round(box.x0, 3), round(1 - box.y1, 3), int(pixels[0, 0, 0])))
    return found


def test_rows_are_by_e_and_blocks_by_patch(root: Root) -> None:
    drawing = draw(root.path)
    pictures = placed(drawing.canvas)
    left, right = sorted({x for x, _, _ in pictures})
    assert [(x, grey) for x, _, grey in sorted(pictures, key=lambda one: one[1])[:2]] == [
        (left, 200), (right, 200),
    ]  # fmt: skip
    tops = sorted({y for _, y, _ in pictures})[1:]  # below the originals: E = 64, 256, 1024
    shades = {job.id: shade(job) for job in jobs(root, "reconstruct")}
    rows = drawing.data.select("job_id", "p", "E").unique().rows()
    expected = {
        ({8: left, 16: right}[p], tops[[64, 256, 1024].index(E)], shades[job]) for job, p, E in rows
    }
    assert set(pictures[2:]) | set(pictures[:2]) >= expected
    assert len(pictures) == 2 + 4


def test_numbers_stand_below_their_picture(root: Root) -> None:
    drawing = draw(root.path)
    said = [text for text, _ in texts(drawing.canvas)]
    for E, c in ((64, 4), (1024, 16)):
        rows = drawing.data.filter(E=E, c=c)
        psnr = rows.filter(metric="rPSNR")["value"][0]
        assert any(line.startswith(f"c{c}   rFD ") and f"rPSNR {psnr:.1f} dB" in line
                   for line in said)  # fmt: skip
    assert {"original", "$E$ = $2^{6}$", "$E$ = $2^{8}$", "$E$ = $2^{10}$"} <= set(said)
    whole = " ".join(said)
    assert "rFD: rFD[efficientnet-lite0], not FID" in whole
    assert "per image then mean" in whole  # a number's protocol


def long_names(folder: Path) -> Path:
    """Four blocks abreast whose headings are longer than they are wide."""
    made = quickstart(seeds=(0,), **GRID, cfg=(1.5, 3.0))
    towers = pl.when(pl.col("p") == 8).then(pl.lit("w128b12h4")).otherwise(pl.lit("w256b24h16"))
    made = replace(made, points=made.points.with_columns(encoder=towers, decoder=towers))
    root = root_of(folder, made)
    for job in jobs(root, "generate"):
        job.artifacts.mkdir()
        Image.new("RGB", (64, 64)).save(job.artifacts / "x.png")
        append(job, 1, [artifact("x.png", "samples")])
    return folder


def test_blocks_stand_in_the_order_of_patch_and_scale(tmp_path: Path) -> None:
    said = [text for text, _ in texts(draw(long_names(tmp_path), "samples").canvas)]
    heads = [line for line in said if "CFG" in line]
    assert [line.partition("CFG ")[2] for line in heads] == ["1.5", "3"] * 2


@pytest.mark.parametrize("case", ["reconstructions", "samples"])
def test_text_is_whole_and_never_overlaps(root: Root, tmp_path: Path, case: str) -> None:
    folder = root.path if case == "reconstructions" else long_names(tmp_path)
    figure = draw(folder, case).canvas
    assert_text_is_whole(figure)
    boxes = list(texts(figure))
    for axes in figure.axes:
        covered = axes.get_window_extent()
        for said, box in boxes:
            common = Bbox.intersection(covered, box)
            assert common is None or min(common.width, common.height) < 1.5, said


def test_the_first_of_several_seeds_is_shown(tmp_path: Path) -> None:
    with_sheets(tmp_path, seeds=(0, 1))
    drawing = draw(tmp_path)
    assert set(drawing.data["seed"]) == {0}
    assert "of several seeds the first is shown" in drawing.notes


def test_pictures_that_are_gone_or_damaged_are_told(tmp_path: Path) -> None:
    root = with_sheets(tmp_path)
    first, second, third, *rest = jobs(root, "reconstruct")
    (first.artifacts / "sheet.png").unlink()
    (second.artifacts / "sheet.png").write_bytes(b"no picture")
    outside = tmp_path / "another.png"  # a journal, or a link, may name any file
    (third.artifacts / "sheet.png").rename(outside)
    (third.artifacts / "sheet.png").symlink_to(outside)
    drawing = draw(tmp_path)
    assert set(drawing.data["job_id"]) == {job.id for job in rest}
    assert any(
        note.startswith("3 pictures are missing or cannot be read") for note in drawing.notes
    )
    for job in rest:
        Image.new("RGB", (50, 40)).save(job.artifacts / "sheet.png")  # not the writer's measures
    with pytest.raises(UserError, match="none of the 4 pictures can be read"):
        draw(tmp_path)


def test_more_blocks_than_a_page_is_wide_go_below(tmp_path: Path) -> None:
    with_sheets(tmp_path, patches=(1, 2, 4, 8, 16, 32), channels=(4,))
    drawing = draw(tmp_path)
    assert len({y for _, y, grey in placed(drawing.canvas) if grey == 200}) == 2
    assert len(drawing.canvas.axes) == 6 * 2


def test_pictures_without_a_place_are_told_with_what_shows_them(tmp_path: Path) -> None:
    root = with_sheets(tmp_path, patches=(8,), channels=tuple(range(1, 15)))
    (note,) = (note for note in draw(tmp_path).notes if "no place" in note)
    assert note.endswith("2 of 14 pictures have no place on the sheet: --sweep NAME chooses; "
                         "--html shows more")  # fmt: skip
    alone = analysis.load(root.path, sweep="quickstart")
    (note,) = (
        note
        for note in FIGURES["reconstructions"].draw(alone, Request()).notes
        if "no place" in note
    )
    assert note.endswith("on the sheet: --html shows more"), "it is one sweep's already"


@pytest.mark.parametrize(
    ("figure", "kind", "job", "size", "options", "blocks"),
    [
        ("samples", "samples", "generate", (300, 150), {"cfg": (1.5, 3.0)}, 4),
        ("video_reconstructions", "frames", "reconstruct", (640, 80),
         {"frames": 16, "stride": 4}, 2),
        ("video_samples", "frames", "generate", (640, 80),
         {"frames": 16, "stride": 4, "cfg": (2.0,)}, 2),
    ],
)  # fmt: skip
def test_whole_pictures_keep_their_shape(
    tmp_path: Path, figure: str, kind: str, job: str, size: tuple[int, int],
    options: dict[str, Any], blocks: int,
) -> None:  # fmt: skip
    root = with_pictures(tmp_path, kind, job, size, **options)
    drawing = draw(tmp_path, figure)
    pictures = placed(drawing.canvas)
    assert len(pictures) == 2 * blocks
    assert len({x for x, _, _ in pictures}) == blocks
    assert sorted(grey for _, _, grey in pictures) == sorted(shade(one) for one in jobs(root, job))
    for axes in drawing.canvas.axes:
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(size[0] / size[1], rel=0.02)
    said = [text for text, _ in texts(drawing.canvas)]
    scales: Sequence[float] = options.get("cfg", ())
    for scale in scales:
        assert any(f"CFG {scale:g}" in line for line in said)


@pytest.mark.parametrize("figure", [
    "reconstructions", "samples", "video_reconstructions", "video_samples",
])  # fmt: skip
def test_without_pictures_one_line_says_so(tmp_path: Path, figure: str) -> None:
    root_of(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4,), cfg=(1.5,)))
    with pytest.raises(UserError, match=r"no job has left .* yet; (`vitok-sweep launch`|it needs)"):
        draw(tmp_path, figure)
    with pytest.raises(UserError, match="not among the paper's published data; --source db"):
        FIGURES[figure].draw(analysis.load_published(), Request())


def test_a_database_alone_has_no_pictures(root: Root) -> None:
    analysis.load(root.path)  # syncs
    alone = analysis.load(f"sqlite:///{root.path / 'results.db'}")
    with pytest.raises(UserError, match="name their root by --results"):
        FIGURES["reconstructions"].draw(alone, Request())


def test_an_unknown_data_set_names_those_there_are(root: Root) -> None:
    with pytest.raises(UserError, match=r"data set 'zebra' \(there are: photos-heldout\)"):
        draw(root.path, "reconstructions", "zebra")


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes(root: Root, tmp_path: Path) -> None:
    """In another process, with another hash seed, where nothing meets torch."""
    code = (
        "import sys, analysis; from pathlib import Path; from analysis.report import draw\n"
        "for name in sys.argv[3:]:\n"
        "    draw(analysis.load(sys.argv[1]), name, Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules"
    )
    figures = (
        "reconstructions", "learning_curves", "pareto", "cost_vs_quality", "residuals_at_equal_e",
    )  # fmt: skip
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run(
        [sys.executable, "-c", code, root.path, there, *figures],
        env={**os.environ, "PYTHONHASHSEED": "1"}, cwd=REPO, check=True,
    )  # fmt: skip
    for figure in figures:
        report.draw(analysis.load(root.path), figure, here)
        assert not pl.read_csv(here / f"{figure}.csv").is_empty()
    names = {path.name for path in there.iterdir()}
    ends = ("csv", "fits.json", "pdf", "png", "svg")
    assert names == {f"{figure}.{end}" for figure in figures for end in ends}
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
