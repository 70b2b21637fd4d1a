"""Learning curves: what is drawn is what was journalled, means of seeds, a million rows."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.transforms import Bbox
from pages import texts
from synthetic import quickstart
from trained import append, config, jobs, metric, root_of

import analysis
from analysis.figures import FIGURES, Drawing, Request, style
from sweep.layout import Root
from vitok_core.errors import UserError


def draw(folder: Path) -> Drawing:
    return FIGURES["learning_curves"].draw(analysis.load(folder), Request())


def loss(p: int, c: int, seed: int, step: int) -> float:
    return 1 / (p * c) + 1 / step + 0.01 * seed


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Two patches × two widths × two seeds, 40 steps each, the first with the made-up loss 0.5."""
    folder = tmp_path_factory.mktemp("curves")
    made = quickstart(seeds=(0, 1), patches=(8, 16), channels=(4, 16), datasets=("photos-heldout",))
    made_root = root_of(folder, made)
    loaded = analysis.load(folder)
    points = loaded.points.join(loaded.records.members(), on="point_id")
    for job in jobs(made_root, "tokenizer"):
        point = points.row(by_predicate=pl.col("job_id") == job.id, named=True)
        append(job, 1, [
            metric(step, value, name)
            for step in range(2, 41)
            for name, value in (
                ("loss", loss(point["p"], point["c"], point["seed"], step)),
                ("loss_kl", 5.0), ("lr", 1e-3),
            )
        ])  # fmt: skip
    return made_root


def test_each_seed_and_the_mean_are_drawn(root: Root) -> None:
    drawing = draw(root.path)
    assert [axes.get_title() or axes.texts[0].get_text() for axes in drawing.canvas.axes] == [
        "Loss", "KL, mean per code element",
    ]  # fmt: skip
    lines = drawing.canvas.axes[0].lines
    assert len(lines) == 4 * 3  # configurations × (two seeds and their mean)
    for index, (p, c) in enumerate([(8, 4), (8, 16), (16, 4), (16, 16)]):
        for seed, line in enumerate(lines[3 * index : 3 * index + 2]):
            x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
            expected = [0.5, *(loss(p, c, seed, step) for step in range(2, 16))]
            assert y[:15] == pytest.approx(expected)
            assert x[:15].tolist() == list(range(1, 16))
            assert line.get_alpha() == 0.3
        mean = np.asarray(lines[3 * index + 2].get_ydata())
        assert mean[1] == pytest.approx(loss(p, c, 0, 2) + 0.005)


def test_colour_says_e_and_the_dash_the_patch(root: Root) -> None:
    lines = draw(root.path).canvas.axes[0].lines[2::3]  # the means
    colours = [line.get_color() for line in lines]
    # E of (p, c): 256, 1024, 64, 256; the two at 256 have one colour.
    assert colours[0] == colours[3]
    assert len(set(colours)) == 3
    assert len({line.get_linestyle() for line in lines[:2]}) == 1
    assert lines[0].get_linestyle() != lines[2].get_linestyle()


def test_the_data_holds_what_was_drawn(root: Root) -> None:
    data = draw(root.path).data
    assert set(data["metric"]) == {"loss", "loss_kl"}
    assert data["job_id"].n_unique() == 8
    assert data.filter(metric="loss")["n"].sum() == 8 * 40


def test_text_is_whole_and_never_overlaps(root: Root) -> None:
    figure = draw(root.path).canvas
    with style.look():
        figure.canvas.draw()
        boxes: list[tuple[str, Bbox]] = list(texts(figure))
    for said, box in boxes:
        assert box.x0 >= 0, said
        assert box.x1 <= figure.bbox.x1, said
        assert box.y1 <= figure.bbox.y1, said
    for (said, box), (other, against) in combinations(boxes, 2):
        common = Bbox.intersection(box, against)
        assert common is None or min(common.width, common.height) < 1.5, (said, other)


def test_the_paper_publishes_none() -> None:
    with pytest.raises(UserError, match="its learning curves are not published"):
        FIGURES["learning_curves"].draw(analysis.load_published(), Request())


def test_before_any_training_it_says_so(tmp_path: Path) -> None:
    made = root_of(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4,)))
    for job in jobs(made, "tokenizer"):
        assert config(job)
        (job.journals / "1.jsonl").unlink()
    with pytest.raises(UserError, match="no training has written a loss yet"):
        draw(tmp_path)


def test_infinite_losses_leave_the_rest(tmp_path: Path) -> None:
    made = root_of(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4,)))
    (job,) = jobs(made, "tokenizer")
    append(job, 1, [metric(2, float("inf")), metric(3, float("nan")), metric(4, 0.25)])
    steps = draw(tmp_path).data.filter(job_id=job.id)["step"].to_list()
    assert steps == [1.0, 4.0]
