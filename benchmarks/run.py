"""`make bench`: speed of what users wait for, beside its peers; writes benchmarks/results.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cluster
import curves
import ddp
import fits
import generator
import loader
import loggers
import metrics
import models
import page
import store
import torch
from timing import Row, compare
from torch import nn

from vitok_core.models.tubelets import to_tubelets

HERE = Path(__file__).parent
HEAD = """# Benchmarks

Written by `make bench`: medians of interleaved runs in one process; the ratio is peer over ours.
{machine}

| what | ours | time | peer | time | ratio |
| --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for row in measure():
        print(row.markdown(), flush=True)
        rows.append(row.markdown())
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    machine = f"{os.cpu_count()} cores, {versions}"
    text = HEAD.format(machine=machine) + "\n".join(rows) + "\n"
    (HERE / "results.md").write_text(text, encoding="utf-8")


def measure() -> Iterator[Row]:
    """All comparisons, one by one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield compare(
            "start-up", 7, vitok_sweep_help=_command("--help"), bare_python=_python("pass")
        )
        large = folder / "large.yaml"
        large.write_text(_large_sweep())
        yield compare(
            "plan, 10,000 points",
            5,
            vitok_sweep_plan=_command("plan", str(large)),
            import_torch=_python("import torch"),
        )
        yield from store.measure(folder)
        yield from loggers.measure(folder)
        yield from cluster.measure(folder)
        yield from curves.measure(folder)
        yield from page.measure(folder)
        yield from loader.measure(folder)
        yield from ddp.measure(folder)
        yield from generator.measure(folder)
    yield from fits.measure()
    yield _tubelets()
    yield from metrics.measure()
    yield from models.measure()


def _command(*arguments: str) -> object:
    code = "from sweep.cli.app import main; main()"
    return lambda: subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True
    )


def _python(code: str) -> object:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def _large_sweep() -> str:
    return (
        "extends: protocols/image_256p.yaml\n"
        "tokenizer: {size: S-B, patch: 16}\n"
        "axes: {tokenizer.channels: 1..10, loss.kl: ["
        + ", ".join(f"{1e-5 * (1 + i):.6g}" for i in range(100))
        + "]}\nseeds: 0..9\nstages: [{train: stage1}, {reconstruct: [imagenet1k-val]}]\n"
    )


def _tubelets() -> Row:
    convolution = nn.Conv3d(3, 768, (1, 16, 16), (1, 16, 16))
    linear = nn.Linear(768, 768)
    clips = torch.randn(16, 3, 1, 256, 256)

    def ours() -> object:
        return linear(to_tubelets(clips, 1, 16))

    with torch.inference_mode():
        return compare("embedding, 16 images of 256 px", 9, matmul=ours,
                       Conv3d=lambda: convolution(clips))  # fmt: skip


if __name__ == "__main__":
    main()
