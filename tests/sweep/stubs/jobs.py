"""Stands in for `vitok_core/jobs.py` in a copy of the packages: jobs that count, without torch.

A job takes steps, each of which hashes the one before; the last hash plays the trained weights, so
a resume that repeats or skips a step shows. `stub/behaviour.json` in the results root says how its
jobs behave, by slug, kind, "*" or rank ("rank1"); a job that is `held` waits before its last step
until `stub/released` exists; `stub/trace.jsonl` is what happened.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from vitok_core.errors import Stopped, UserError


def tokenizer(config: Any, context: Any) -> None:
    _count("tokenizer", context)


def finetune(config: Any, context: Any) -> None:
    (parent,) = context.parents
    assert (parent.folder / "artifacts" / "weights.txt").exists()
    _count("finetune", context)


def reconstruct(config: Any, context: Any) -> None:
    (parent,) = context.parents
    assert (parent.folder / "artifacts" / "weights.txt").exists()
    _count("reconstruct", context)
    if "best" in _behaviour("reconstruct", context):
        _quality(parent.folder, context)


def _quality(trained: Path, context: Any) -> None:
    """A score that is best (0) for the patch and the channels that `best` says."""
    config = json.loads((trained / "job.json").read_text())["config"]["tokenizer"]
    patch, channels = _behaviour("reconstruct", context)["best"]
    apart = math.log2(config["patch"] / patch) ** 2 + math.log2(config["channels"] / channels) ** 2
    context.result("rPSNR", -apart, "stub")


def floor(config: Any, context: Any) -> None:
    _count("floor", context)


def _count(kind: str, context: Any) -> None:
    behaviour = _behaviour(kind, context)
    steps, pause = behaviour.get("steps", 3), behaviour.get("pause", 0.01)
    _trace(kind, context, "began")
    context.data_fingerprint("counted", "1", behaviour.get("fingerprint", "f"))
    step, value = _resume(context)
    while step < steps:
        reason = None if behaviour.get("deaf") else context.check_stop(step)
        if reason is not None:
            _save(context, step, value)
            raise Stopped(reason, step)
        if step == behaviour.get("fail_at"):
            error = UserError if behaviour.get("user") else RuntimeError
            raise error(behaviour.get("message", "stub failure"))
        time.sleep(pause)
        if behaviour.get("held") and step == steps - 1 and not _released(context):
            continue
        step, value = step + 1, hashlib.sha256(f"{value}{step}".encode()).hexdigest()
        context.metric("loss", behaviour.get("loss", float(int(value[:8], 16))), step)
        context.progress(step, steps, "steps")
        if context.machine.checkpoint_every and step % context.machine.checkpoint_every == 0:
            _save(context, step, value)
    if context.machine.ranks.rank:
        return
    path = context.artifacts / "weights.txt"
    path.write_text(value)
    context.artifact(path, "summary")
    context.result("score", float(step), "stub")
    _trace(kind, context, "ended")


def _behaviour(kind: str, context: Any) -> dict[str, Any]:
    path = context.folder.parent.parent / "stub" / "behaviour.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    slug = context.folder.name.rpartition("-")[0]
    rank = f"rank{context.machine.ranks.rank}"
    names = ("*", kind, slug, rank)
    return {key: value for name in names for key, value in known.get(name, {}).items()}


def _released(context: Any) -> bool:
    return (context.folder.parent.parent / "stub" / "released").exists()


def _resume(context: Any) -> tuple[int, str]:
    for path in context.earlier_checkpoints():
        try:
            state = json.loads(path.read_text())
        except ValueError:
            continue
        context.resumed(state["step"], path)
        return state["step"], state["value"]
    return 0, ""


def _save(context: Any, step: int, value: str) -> None:
    if context.machine.ranks.rank:
        return
    path = context.checkpoints / f"step-{step:09d}.pt"
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps({"step": step, "value": value}))
    temporary.replace(path)
    context.checkpoint(path, step)


def _trace(kind: str, context: Any, event: str) -> None:
    """One line per beginning and end; whoever reads it knows what the job was given."""
    folder = context.folder.parent.parent / "stub"
    folder.mkdir(exist_ok=True)
    record = {
        "event": event,
        "t": time.time(),
        "kind": kind,
        "job": context.folder.name,
        "pid": os.getpid(),
        "attempt": int(context.checkpoints.name),
        "code": str(Path(__file__).resolve().parent.parent),
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "device": context.machine.device,
        "threads": context.machine.threads,
        "rank": context.machine.ranks.rank,
        "size": context.machine.ranks.size,
        "node": os.environ.get("SLURMD_NODENAME"),
        "checkpoint_activations": context.machine.checkpoint_activations,
        "torch": "torch" in sys.modules,
    }
    with (folder / "trace.jsonl").open("ab", buffering=0) as file:
        file.write(json.dumps(record).encode() + b"\n")
