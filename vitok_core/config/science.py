"""What every scientific configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Science(BaseModel):
    """Base of every scientific configuration: unknown keys refused, values immutable."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )


Positive = Annotated[int, Field(ge=1)]
FPS = "frames per second of a clip; null: the video's own"


class ClipsJob(Science):
    """Base of the jobs that read T×H×W samples of a data set (images: T = 1)."""

    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    fps: float | None = Field(None, gt=0, description=FPS)


class DataSetJob(ClipsJob):
    """Base of those whose parent, or whose codec, is given the samples."""

    dataset: str
