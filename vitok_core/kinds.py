"""The table of job kinds: a new kind is one function in `jobs` and one entry here. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from vitok_core.config import (
    BaselineJob,
    FinetuneJob,
    FloorJob,
    GenerateJob,
    GeneratorJob,
    LatentsJob,
    ProbeJob,
    ReconstructJob,
    Science,
    TokenizerJob,
)


@dataclass(frozen=True)
class Kind:
    """One unit of work. `revision` rises when the kind's science changes: ids change with it."""

    name: str
    revision: int
    config: type[Science]
    function: str  # "module:function", imported by the worker alone, called as f(config, context)
    several: bool = False  # whether it can run as several processes (`Machine.ranks`)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("tokenizer", 1, TokenizerJob, "vitok_core.jobs:tokenizer", several=True),
        Kind("finetune", 1, FinetuneJob, "vitok_core.jobs:finetune", several=True),
        Kind("reconstruct", 1, ReconstructJob, "vitok_core.jobs:reconstruct", several=True),
        Kind("floor", 1, FloorJob, "vitok_core.jobs:floor"),
        Kind("latents", 1, LatentsJob, "vitok_core.jobs:latents", several=True),
        Kind("generator", 1, GeneratorJob, "vitok_core.jobs:generator", several=True),
        Kind("generate", 1, GenerateJob, "vitok_core.jobs:generate", several=True),
        Kind("probe", 1, ProbeJob, "vitok_core.jobs:probe"),
        Kind("baseline", 1, BaselineJob, "vitok_core.jobs:baseline", several=True),
    )
}
