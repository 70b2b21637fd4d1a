"""Two short trainings on drawn images: how fast S-B/16 is, and whether a killed one resumes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from vitok_core import jobs
from vitok_core.config import DataConfig, TokenizerConfig, TokenizerJob, TrainConfig
from vitok_core.context import Machine
from vitok_core.cost import Shape, tokenizer_macs
from vitok_core.health.bench import Bench
from vitok_core.health.outcome import Outcome
from vitok_core.variants import SIZES, Tower

_TINY = Tower(width=32, blocks=1, heads=2)
_MOST_WORKERS = 8
_PATIENCE = 120.0  # seconds for the first checkpoint
_PAUSE = 0.05  # seconds a step of the one that is killed


def speed(kind: str) -> Outcome:
    """S-B/16 at 256 px in bf16, eager, with the loader: images and FLOPs per second."""
    real = kind == "cuda"
    config = _job(SIZES["S"] if real else _TINY, SIZES["B"] if real else _TINY, 256 if real else 64)
    config = _with(config, TrainConfig(steps=20 if real else 4, batch=32 if real else 4))
    workers = min(_MOST_WORKERS, len(os.sched_getaffinity(0)) - 1) if real else 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), Machine(device=kind, workers=workers))
        jobs.tokenizer(config, bench)
    # The first steps fill caches, and the loader's queue.
    rate = median(bench.metrics["images_per_second"][len(bench.metrics["loss"]) // 4 :])
    sizes, data = config.tokenizer, config.data
    shape = Shape(data.resolution, sizes.patch, sizes.channels)
    flops = 2 * 3 * tokenizer_macs(sizes.encoder, sizes.decoder, shape) * rate
    name = "S-B/16 at 256 px" if real else "a tiny tokenizer"
    said = f"{name}, batch {config.train.batch}, bf16: {rate:.4g} img/s"
    values = {"images_per_second": rate, "workers": workers, "batch": config.train.batch}
    return Outcome(True, said, {"bf16": flops}, values)


def resume(kind: str) -> Outcome:
    """Right when a training that was killed (SIGKILL) ends with the undisturbed one's weights."""
    with tempfile.TemporaryDirectory() as folder:
        whole = _weights(Bench(Path(folder) / "whole", Machine(device=kind)))
        place = Path(folder) / "killed"
        _kill_one(place, kind)
        second = Bench(place, Machine(device=kind), attempt=2)
        resumed = _weights(second)
    if second.resumed_at is None:
        return Outcome(False, "the killed training left no checkpoint that could be resumed")
    right = whole == resumed
    said = f"killed, resumed at step {second.resumed_at}: "
    said += "the very weights of an undisturbed run" if right else "other weights than undisturbed"
    return Outcome(right, said, values={"resumed_at": second.resumed_at})


def victim(folder: Path, kind: str) -> None:
    """The first attempt of `resume`, slow enough to be killed in time."""
    machine = Machine(device=kind, checkpoint_every=2)
    jobs.tokenizer(_short(), Bench(folder, machine, pause=_PAUSE))


def _kill_one(place: Path, kind: str) -> None:
    code = "import sys; from pathlib import Path; from vitok_core.health.training import victim; "
    code += "victim(Path(sys.argv[1]), sys.argv[2])"
    process = subprocess.Popen([sys.executable, "-c", code, str(place), kind])
    try:
        deadline = time.monotonic() + _PATIENCE
        while not list(place.glob("checkpoints/*/step-*.pt")):
            if process.poll() is not None or time.monotonic() > deadline:
                return
            time.sleep(_PAUSE / 2)
    finally:
        process.kill()
        process.wait()


def _weights(bench: Bench) -> str:
    """Train to the end; the digest of the weights."""
    jobs.tokenizer(_short(), bench)
    (summary,) = bench.folder.rglob("training.json")
    return str(json.loads(summary.read_text())["weights_sha256"])


def _short() -> TokenizerJob:
    return _with(_job(_TINY, _TINY, 32), TrainConfig(steps=12, batch=4))


def _job(encoder: Tower, decoder: Tower, resolution: int) -> TokenizerJob:
    return TokenizerJob(
        tokenizer=TokenizerConfig(encoder=encoder, decoder=decoder, patch=16, channels=16),
        data=DataConfig(name="synthetic", resolution=resolution),
        train=TrainConfig(steps=1, batch=1),
    )


def _with(job: TokenizerJob, train: TrainConfig) -> TokenizerJob:
    return job.model_copy(update={"train": train})
