"""Codecs and other people's tokenizers, scored as ours are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vitok_core.config.evaluation import EvaluationConfig
from vitok_core.config.science import DataSetJob, Positive, Science

_MOST_BITS = 1e6  # of a value or a pixel: what a lossless file takes, many times over


class CodecConfig(Science):
    """A codec, or a tokenizer that was not trained here (docs/baselines.md).

    JPEG and WebP get a budget of bits: `bits_per_value` for each of the `values` of a code that
    they are held against, or `bits_per_pixel`.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="what reports call it; of a pretrained one also its `weights` in the site file",
    )
    kind: Literal[
        "jpeg", "webp", "bicubic", "AutoencoderKL", "AutoencoderDC", "ConsistencyDecoderVAE",
        "torchscript", "functions",
    ] = Field(description="how it is run; the middle three are classes of diffusers")  # fmt: skip
    version: str = Field("1", description="of its weights: others need another")
    values: Positive | None = Field(None, description="E of the code that JPEG or WebP is beside")
    bits_per_value: float = Field(
        8.0, gt=0, le=_MOST_BITS, description="what each of these values may cost"
    )
    bits_per_pixel: float | None = Field(
        None, gt=0, le=_MOST_BITS, description="the budget, whatever E is"
    )
    factor: Annotated[int, Field(ge=2)] | None = Field(None, description="of bicubic, each way")
    encode: str | None = Field(None, description="module:function, images to code")
    decode: str | None = Field(None, description="module:function, code to images")
    sha256: str | None = Field(None, description="of the functions' source; planning fills it in")

    @model_validator(mode="after")
    def _kind_has_its_fields(self) -> CodecConfig:
        budgeted = self.kind in ("jpeg", "webp")
        if budgeted != ((self.values is None) != (self.bits_per_pixel is None)):
            raise ValueError("jpeg and webp, no others, take values or bits_per_pixel, not both")
        if self.bits_per_value != 8.0 and self.values is None:
            raise ValueError("bits_per_value is for a budget by values")
        if (self.kind == "bicubic") != (self.factor is not None):
            raise ValueError("factor goes with kind: bicubic")
        code = (self.encode, self.decode, self.sha256)
        if (None in code) if self.kind == "functions" else any(code):
            raise ValueError("encode and decode go together, and with kind: functions")
        return self

    def bits(self, pixels: int) -> int:
        """The budget of a sample of so many pixels (T·H·W), in whole bits; JPEG's and WebP's."""
        if self.values is not None:
            return int(self.values * self.bits_per_value)
        return int(pixels * (self.bits_per_pixel or 0.0))


class BaselineJob(DataSetJob):
    """Score a codec or another's tokenizer on one data set, exactly as a reconstruction is."""

    codec: CodecConfig
    evaluation: EvaluationConfig = EvaluationConfig()
