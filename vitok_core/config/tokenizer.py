"""A tokenizer: what it is, before any training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vitok_core.config.science import Positive, Science
from vitok_core.variants import Tower


class TokenizerConfig(Science):
    """A ViTok auto-encoder (§2.1): tubelets of stride×patch×patch pixels, `channels` per token."""

    variant: Literal["simple", "latent", "mask_simple", "mask_latent"] = Field(
        "simple",
        description="simple: the code stands on the tubelets' tokens; latent: on latent tokens of "
        "its own; mask_*: its tail is masked in training, so that any length decodes (§8.3)",
    )
    encoder: Tower
    decoder: Tower
    patch: Positive = Field(description="spatial patch p, in pixels")
    stride: Positive = Field(1, description="temporal stride q, in frames")
    channels: Positive = Field(description="channels c per token of the latent code")
    latents: Positive | None = Field(
        None, description="number of latent tokens, for the variants latent and mask_latent"
    )
    lengths: tuple[Positive, ...] = Field(
        (), description="token counts that masking keeps in training, for the variants mask_*"
    )
    gate: Literal["silu", "gelu"] = Field(
        "silu", description="of the gated feed-forward: SwiGLU (paper) or GEGLU (released code)"
    )
    rope: Literal["3d", "1d"] = Field(
        "3d", description="rotary positions: axial (paper) or by raster index (released code)"
    )
    init: Literal["standard", "pca"] = Field(
        "standard",
        description="standard: Xavier; pca: embedding, latent heads and unembedding start as the "
        "PCA of training patches and the residual branches at zero (a recipe for toy scale)",
    )
    final_norm: bool = Field(True, description="LayerNorm after each tower's last block")
    class_: str | None = Field(
        None,
        alias="class",
        description="a tokenizer of your own instead of ViTok, as module:Class; null: ViTok",
    )
    class_sha256: str | None = Field(
        None, description="of the class's source; planning fills it in"
    )

    @model_validator(mode="after")
    def _own_class_is_hashed_and_plain(self) -> TokenizerConfig:
        if (self.class_ is None) != (self.class_sha256 is None):
            raise ValueError("class and class_sha256 go together: both or neither")
        if self.class_ and (self.variant, self.init) != ("simple", "standard"):
            raise ValueError(
                "class goes with variant: simple and init: standard; others are ViTok's"
            )
        return self

    @model_validator(mode="after")
    def _variant_has_its_fields(self) -> TokenizerConfig:
        for name, needed in (
            ("latents", self.variant in ("latent", "mask_latent")),
            ("lengths", self.variant in ("mask_simple", "mask_latent")),
        ):
            if needed != bool(getattr(self, name)):
                said = "needs" if needed else "takes no"
                raise ValueError(f"variant {self.variant} {said} {name}")
        if self.lengths and any(length & (length - 1) for length in self.lengths):
            raise ValueError(f"lengths must be powers of two, not {list(self.lengths)}")
        if list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths must rise, not {list(self.lengths)}")
        return self

    @model_validator(mode="after")
    def _pca_is_linear(self) -> TokenizerConfig:
        if self.init == "pca":
            if self.variant != "simple":
                raise ValueError(f"init: pca is for the variant simple, not {self.variant}")
            if self.final_norm:
                raise ValueError("init: pca needs final_norm: false (a norm bends the linear path)")
            if self.channels > min(self.encoder.width, self.decoder.width):
                raise ValueError("init: pca needs channels no larger than either tower's width")
            if self.channels > 3 * self.stride * self.patch**2:
                raise ValueError("init: pca needs channels no larger than a patch's 3·q·p² values")
        return self
