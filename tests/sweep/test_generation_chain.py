"""From tokenizer to scored samples, by `launch`: a smoke test, where a class is a source photo."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from sweepfiles import write

import analysis
from analysis.report import draw, overview
from sweep.journal import read_from
from sweep.launch import launch
from sweep.layout import Root
from sweep.planning.plan import plan_file
from sweep.reconcile import State
from sweep.schedulers import scheduler
from sweep.site import Site
from sweep.status import job_statuses
from sweep.store import open_store, sync

TINY = """\
sizes: {T: {width: 32, blocks: 1, heads: 2}}
tokenizer: {size: T-T, patch: 8, channels: 4}
data: {name: photos-tune, resolution: 32}
train: {steps: 2, batch: 4, precision: fp32}
generator: {model: T}
generator_train: {steps: 3, batch: 4, precision: fp32}
sampling: {samples: 6, steps: 2}
evaluation: {samples: 6}
stages:
  - train: stage1
  - generate: {cfg: [1, 3]}
resources: {default: {chain: true, memory_gb: 1}}
"""


def run(folder: Path, text: str, *sets: str) -> Root:
    """Launch a sweep in this process; its results root."""
    plan, root = plan_file(write(folder, text), sets), Root(folder / "results")
    root.path.mkdir()
    store = open_store(root, "sqlite://")
    launch(plan, plan, root, store, scheduler("inline", root), Site(), lambda _: None)
    sync(store, root)
    found = job_statuses(store, root, [job.id for job in plan.jobs])
    assert {each.state for each in found} == {State.DONE}, [each.reason for each in found]
    assert [each.kind for each in found] == [job.kind for job in plan.jobs]
    return root


def test_a_chain_ends_with_scores(tmp_path: Path) -> None:
    root = run(tmp_path, TINY)
    results = analysis.load(root.path, sweep="sweep")
    rows = results.measurements
    assert Counter(rows["kind"]) == {"generate": 6}
    assert rows["cfg_scale"].unique().sort().to_list() == [1.0, 3.0]
    assert set(rows["dataset"]) == {"photos-tune"}
    assert set(rows["generator"]) == {"DiT 32x1, noise, 3 steps, batch 4"}
    assert rows["protocol"].n_unique() == 3, "one for each metric, whatever the scale is"
    assert all(map(math.isfinite, rows["value"]))
    (seen,) = overview(results).guidance.filter(metric="gIS[efficientnet-lite0]").to_dicts()
    assert seen["scales"] == [1.0, 3.0]
    assert seen["unguided"] == seen["values"][0]
    assert seen["best"] == max(seen["values"])
    wide = results.wide(kind="generate", cfg_scale=3.0)
    assert "gFD[efficientnet-lite0]" in wide.columns


@pytest.mark.slow
def test_processes_share_the_chain_and_change_no_bit(tmp_path: Path) -> None:
    text = TINY.replace("  - generate", "  - reconstruct: photos-tune\n  - generate")
    roots = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        shared = [
            f"resources.{kind}.processes={number}"
            for kind in ("reconstruct", "latents", "generate")
        ]
        roots.append(run(tmp_path / str(number), text, *shared))
    found = [analysis.load(root.path, sweep="sweep").measurements for root in roots]
    columns = ["kind", "cfg_scale", "metric", "protocol", "value"]
    assert found[0].select(columns).equals(found[1].select(columns), null_equal=True)
    worlds = {
        record["world"]
        for path in roots[1].path.glob("jobs/generate-*/journal/1.jsonl")
        for record in read_from(path)[0]
        if record["event"] == "started"
    }
    assert worlds == {2}
    shards = [sorted(root.path.glob("jobs/latents-*/artifacts/latents/*")) for root in roots]
    assert len(shards[0]) == 2
    assert [path.read_bytes() for path in shards[0]] == [path.read_bytes() for path in shards[1]]


# Minutes on a laptop make plausible pictures (sweeps/mini/mini_generation.yaml); this makes sure
# that samples follow the generator's training: they have the photos' colours, and come nearer to
# them than decoded noise, as near as a code of 4 PCA channels lets them.
LONGER = (
    TINY.replace("channels: 4}", "channels: 4, init: pca, final_norm: false}")
    .replace("T: {width: 32, blocks: 1", "T: {width: 64, blocks: 2")
    .replace("{name: photos-tune", "{name: photos-train")
    .replace("{steps: 3, batch: 4, precision: fp32}",
             "{steps: 400, batch: 16, precision: fp32, base_lr: 2e-3, ema: 0.97}")
    .replace("{samples: 6, steps: 2}", "{samples: 102, steps: 20}")
    .replace("evaluation: {samples: 6}", "evaluation: {samples: 102}")
    .replace("generator: {model: T}", "generator: {model: T, objective: flow}")
    .replace("cfg: [1, 3]", "cfg: 1.5")
)  # fmt: skip


@pytest.mark.slow
def test_generation_follows_training(tmp_path: Path) -> None:
    root = run(tmp_path, LONGER + "axes: {generator_train.steps: [2, 400]}\n")
    results = analysis.load(root.path, sweep="sweep")
    assert len(results.points) == 1, "two generators of one tokenizer"
    rows = results.measurements.filter(metric="gFD[efficientnet-lite0-112]")
    scores = {
        name.split(", ")[2]: value for name, value in rows.select("generator", "value").rows()
    }
    assert set(scores) == {"2 steps", "400 steps"}
    assert scores["400 steps"] < 0.85 * scores["2 steps"]  # 609 against 812
    for sheet in root.path.glob("jobs/generate-*/artifacts/samples.png"):
        with Image.open(sheet) as opened:
            assert opened.width == opened.height == 8 * (128 + 4) + 4
    draw(results, "samples", tmp_path / "out", formats=["png"])
    drawn = json.loads((tmp_path / "out/samples.fits.json").read_text())
    assert drawn == []
