"""Parameters and multiply-accumulates of users' own classes, counted by building them.

A process of its own builds them on torch's meta device: planning never meets torch. What was
counted is kept in the user's cache folder, by all that it depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.planning import identity
from sweep.planning.estimate import Macs
from sweep.planning.points import Draft
from sweep.planning.training import Trained
from vitok_core.files import replace_atomically

_COUNTER = "vitok_core.models.count"
_PATIENCE = 300.0  # seconds; importing torch on a busy cluster's disk takes a minute

Asked = Mapping[str, Any]
Counts = Mapping[str, Any]  # _COUNTED, or {"error"}
_COUNTED = ("parameters", "encoder_macs", "decoder_macs")


def counted(drafts: list[Draft]) -> tuple[list[Draft], tuple[str, ...]]:
    """The drafts with what their own classes cost, and notes of what could not be counted."""
    own = {id(draft.trained): draft.trained for draft in drafts if draft.job.tokenizer.class_}
    if not own:
        return drafts, ()
    asked = {each: _asked(trained) for each, trained in own.items()}
    found = _counts(list({_key(each): each for each in asked.values()}.values()))
    filled, errors = {}, {}
    for each, trained in own.items():
        counts = found[_key(asked[each])]
        if "error" in counts:
            errors[trained.job.tokenizer.class_] = counts["error"]
        else:
            macs = Macs(counts["encoder_macs"], counts["decoder_macs"])
            filled[each] = replace(trained, parameters=counts["parameters"], macs=macs)
    notes = tuple(
        f"{code} could not be counted, its parameters and FLOPs are unknown and in no total: {why}"
        for code, why in errors.items()
    )
    new = [replace(each, trained=filled.get(id(each.trained), each.trained)) for each in drafts]
    return new, notes


def _asked(trained: Trained) -> Asked:
    """All that a count depends on; the class's source is in its configuration."""
    data = trained.job.data
    config = identity.scientific(trained.job.tokenizer)
    return {"tokenizer": config, "frames": data.frames, "resolution": data.resolution}


def _key(asked: Asked) -> str:
    return hashlib.sha256(identity.canonical_json(asked).encode()).hexdigest()[:32]


def _counts(asked: Sequence[Asked]) -> dict[str, Counts]:
    """What is kept, and of the rest what one process counts."""
    known = {_key(each): _kept(_key(each)) for each in asked}
    rest = [each for each in asked if known[_key(each)] is None]
    fresh = _count(rest) if rest else []
    for each, counts in zip(rest, fresh, strict=True):
        if "error" not in counts:
            _keep(_key(each), counts)
    made = {_key(each): counts for each, counts in zip(rest, fresh, strict=True)}
    return {**{key: counts for key, counts in known.items() if counts is not None}, **made}


def _count(asked: Sequence[Asked]) -> list[Counts]:
    # -P: what lies in the working directory must not shadow what was hashed.
    command = [sys.executable, "-P", "-m", _COUNTER]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [{"error": f"no answer in {_PATIENCE:.0f} s"}] * len(asked)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return [{"error": why}] * len(asked)
    counts: list[Counts] = json.loads(done.stdout)
    return counts


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "vitok-sweep" / "counts"


def _kept(key: str) -> Counts | None:
    try:
        counts: Counts = json.loads((_folder() / f"{key}.json").read_bytes())
    except (OSError, ValueError):  # absent or damaged: it is a cache, count again
        return None
    return counts if counts.keys() == set(_COUNTED) else None


def _keep(key: str, counts: Counts) -> None:
    data = json.dumps(counts).encode() + b"\n"
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        replace_atomically(_folder() / f"{key}.json", lambda file: file.write(data))
    except OSError:  # a home that cannot be written to: count again next time
        return
