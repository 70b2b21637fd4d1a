"""What a tokenizer, its training and its evaluation are: the scientific configuration.

These models are the resolved form of a sweep file's point and the content of a job's identity.
A default, once released, is frozen: values equal to their default are left out of a job's hash, so
a new field with a default keeps every old id, while a changed default would change what an old id
means. Resources (threads, micro-batch, workers), names and paths are not here, by design.
"""

from __future__ import annotations

from vitok_core.config.codecs import BaselineJob, CodecConfig
from vitok_core.config.data import DataConfig
from vitok_core.config.evaluation import (
    EvaluationConfig,
    ExtraMetric,
    FeatureNetworkName,
    FloorJob,
    ProbeJob,
    ReconstructJob,
)
from vitok_core.config.generation import (
    GenerateJob,
    GeneratorConfig,
    GeneratorJob,
    GeneratorTrainConfig,
    LatentsJob,
    SamplingConfig,
)
from vitok_core.config.losses import ExtraLoss, GanConfig, LossConfig
from vitok_core.config.science import Science
from vitok_core.config.tokenizer import TokenizerConfig
from vitok_core.config.training import (
    FinetuneConfig,
    FinetuneJob,
    TokenizerJob,
    TrainConfig,
)

__all__ = [
    "BaselineJob",
    "CodecConfig",
    "DataConfig",
    "EvaluationConfig",
    "ExtraLoss",
    "ExtraMetric",
    "FeatureNetworkName",
    "FinetuneConfig",
    "FinetuneJob",
    "FloorJob",
    "GanConfig",
    "GenerateJob",
    "GeneratorConfig",
    "GeneratorJob",
    "GeneratorTrainConfig",
    "LatentsJob",
    "LossConfig",
    "ProbeJob",
    "ReconstructJob",
    "SamplingConfig",
    "Science",
    "TokenizerConfig",
    "TokenizerJob",
    "TrainConfig",
]
