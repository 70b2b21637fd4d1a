"""What is trained on."""

from __future__ import annotations

from pydantic import Field, model_validator

from vitok_core.config.science import FPS, Positive, Science


class DataConfig(Science):
    """The training data: a named data set, cut to T×H×W clips (images: T = 1)."""

    name: str = Field(description="a data set's name; the site file maps it to a path")
    version: str = Field("1", description="the data set's version, as registered")
    resolution: Positive = Field(description="height and width, in pixels")
    frames: Positive = Field(1, description="frames T")
    fps: float | None = Field(None, gt=0, description=FPS)
    crop_scale: tuple[float, float] = Field(
        (1.0, 1.0), description="side of the random square crop, as a share of the short side"
    )
    flip: bool = Field(True, description="random horizontal flip")

    @model_validator(mode="after")
    def _scale_is_a_range(self) -> DataConfig:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale must be 0 < low <= high <= 1, not {[low, high]}")
        return self

    @model_validator(mode="after")
    def _fps_is_of_clips(self) -> DataConfig:
        if self.fps is not None and self.frames == 1:
            raise ValueError("fps needs frames above 1")
        return self
