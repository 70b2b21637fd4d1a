"""What a training step pays for its records: our journal beside the experiment trackers.

Each peer is timed where it is installed (`pip install -e ".[bench]"`): the calls that a loop waits
for, not the start of a run nor its end. Of each the cheapest way to log a step is taken.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from timing import Row, compare

from sweep.journal import Journal

STEPS = 200
ROUNDS = 5
Log = Callable[[int, dict[str, float]], object]


def measure(folder: Path) -> Iterator[Row]:
    """One row per peer, interleaved with ours."""
    peers = {
        "MLflow_(SQLite)": ("mlflow", _mlflow),
        "TensorBoard": ("tensorboard", _tensorboard),
        "W&B_offline": ("wandb", _wandb),
    }
    for name, (module, make) in peers.items():
        if find_spec(module) is None:
            continue
        what = f"logging {STEPS} training steps of 4 metrics"
        ours = _steps(_journal(folder / f"{module}.jsonl"))
        with make(folder) as theirs:
            yield compare(what, ROUNDS, **{"journal": ours, name: _steps(theirs)})


def _steps(log: Log) -> Callable[[], None]:
    numbers = count()

    def run() -> None:
        for _ in range(STEPS):
            step = next(numbers)
            log(step, {"loss": 1 / (step + 1), "psnr": 20 + step / 7, "grad_norm": 0.5, "lr": 1e-4})

    return run


def _journal(path: Path) -> Log:
    journal = Journal(path)

    def log(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            journal.write("metric", step=step, name=name, value=value)

    return log


@contextmanager
def _mlflow(folder: Path) -> Iterator[Log]:
    import mlflow

    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    artifacts = (folder / "mlruns").as_uri()
    experiment = mlflow.create_experiment("bench", artifact_location=artifacts)
    mlflow.start_run(experiment_id=experiment, log_system_metrics=False)
    yield lambda step, values: mlflow.log_metrics(values, step=step)
    mlflow.end_run()


@contextmanager
def _tensorboard(folder: Path) -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    yield log
    writer.close()


@contextmanager
def _wandb(folder: Path) -> Iterator[Log]:
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    import wandb

    run = wandb.init(project="bench", dir=str(folder))
    yield lambda step, values: run.log(values, step=step)
    run.finish()
