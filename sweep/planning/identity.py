"""Content identity: what makes two jobs, or two points, the same (contract 2).

The canonical form of a configuration:

- values equal to their field's default are left out, at every level;
- numbers are written one way: whole ones as integers (`1.0` is `1`), others as Python's shortest
  decimal that reads back (`0.001`); there is no negative zero, NaN or infinity;
- tuples are lists; mappings have sorted keys; JSON in ASCII, without spaces.

A job's id is the first 12 hexadecimal digits of SHA-256 over the canonical JSON of
`{"config": ..., "kind": ..., "parents": [ids], "revision": n}`. A point's id is the same over its
train stages with the seed, its `config_id` without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vitok_core.config import Science
from vitok_core.kinds import KINDS

ID_LENGTH = 12


def canonical(value: Any) -> Any:
    """A value in the form that is hashed."""
    if isinstance(value, float):
        whole = int(value) if value.is_integer() else value
        return whole if abs(value) < 2**53 else value
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def canonical_json(value: Any) -> str:
    """Canonical JSON: equal values give equal text."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def scientific(config: Science) -> dict[str, Any]:
    """A configuration without its defaults, in canonical form: what job.json holds."""
    dumped: dict[str, Any] = canonical(config.model_dump(mode="json", exclude_defaults=True))
    return dumped


def job_id(kind: str, config: Science, parents: Sequence[str] = ()) -> str:
    """The id of a job of the kind's current revision."""
    return job_id_of_json(kind, KINDS[kind].revision, canonical_json(scientific(config)), parents)


def job_id_of_json(kind: str, revision: int, config: str, parents: Sequence[str]) -> str:
    """`job_id` from the configuration's canonical JSON, which planning has at hand."""
    listed = ",".join(f'"{parent}"' for parent in parents)
    return _digest(
        f'{{"config":{config},"kind":"{kind}","parents":[{listed}],"revision":{revision}}}'
    )


def train_id(
    kind: str, parts: Mapping[str, str | None], seed: int, parents: Sequence[str] = ()
) -> str:
    """The id of a training job from the canonical JSON of its sections."""
    text = object_json({**parts, "seed": str(seed) if seed else None})
    return job_id_of_json(kind, KINDS[kind].revision, text, parents)


def with_seed(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A canonical configuration with its seed, which is left out where it is 0."""
    return dict(sorted({**config, **({"seed": seed} if seed else {})}.items()))


def point_id(train: Sequence[str], seed: int) -> str:
    """A point's id, from its train stages (see `train_stage`), whose configuration has no seed."""
    return _digest(f'{{"point":[{",".join(train)}],"seed":{seed}}}')


def config_id(train: Sequence[str]) -> str:
    """What the points of all seeds of one configuration share."""
    return _digest(f'{{"point":[{",".join(train)}]}}')


def train_stage(kind: str, revision: int, config: str) -> str:
    """One train stage as `point_id` and `config_id` take it."""
    return f'{{"config":{config},"kind":"{kind}","revision":{revision}}}'


def object_json(parts: dict[str, str | None]) -> str:
    """Canonical JSON of a mapping from that of its values; None: left out (a default)."""
    items = (f'"{key}":{parts[key]}' for key in sorted(parts) if parts[key] is not None)
    return f"{{{','.join(items)}}}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:ID_LENGTH]
