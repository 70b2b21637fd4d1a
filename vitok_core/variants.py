"""Sizes and variant strings: `S-B/4x16` is encoder S, decoder B, stride q = 4, patch p = 16."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Tower(BaseModel):
    """One transformer tower, encoder or decoder (Table 1): `width` must divide by `heads`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(ge=8, le=16384)
    blocks: int = Field(ge=1, le=1024)
    heads: int = Field(ge=1, le=1024)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Tower:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide by heads {self.heads}")
        if (self.width // self.heads) % 2:
            raise ValueError(
                f"head width {self.width // self.heads} (width / heads) must be even: RoPE turns "
                "pairs of channels"
            )
        return self


# Table 1. The width of L was chosen so that its 72-wide heads divide by 3 axes (§2.1).
SIZES: dict[str, Tower] = {
    "S": Tower(width=768, blocks=6, heads=12),
    "B": Tower(width=768, blocks=12, heads=12),
    "L": Tower(width=1152, blocks=24, heads=16),
}

# Generators (§2.2). S, B and XL are DiT's own (Peebles & Xie 2023), whose XL the paper's 675 M is.
# DiT's L (and that of the authors' released code) is 1024 wide and has 458 M parameters; with heads
# of 64 as in S and B, 960 is the width whose count is the paper's 400 M.
DIT_SIZES: dict[str, Tower] = {
    "DiT-S": Tower(width=384, blocks=12, heads=6),
    "DiT-B": Tower(width=768, blocks=12, heads=12),
    "DiT-L": Tower(width=960, blocks=24, heads=15),
    "DiT-XL": Tower(width=1152, blocks=28, heads=16),
}


def gated_width(width: int) -> int:
    """Hidden width of the feed-forward: 8d/3, up to a multiple of 8 (768 → 2048, 1152 → 3072)."""
    return 8 * -(-width // 3)


_NAME = r"[A-Za-z][A-Za-z0-9]*"
_PATTERN = re.compile(
    rf"(?P<encoder>{_NAME})-(?P<decoder>{_NAME})/(?:(?P<stride>[0-9]+)x)?(?P<patch>[0-9]+)"
)


@dataclass(frozen=True)
class Variant:
    """A tokenizer's short name. `str` prints it and `parse` reads it: `S-B/16`, `S-B/4x16`."""

    encoder: str
    decoder: str
    patch: int
    stride: int = 1

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read `ENCODER-DECODER/[QxP]`; raises ValueError with the expected form."""
        match = _PATTERN.fullmatch(text)
        if match is None or int(match["patch"]) < 1 or int(match["stride"] or 1) < 1:
            raise ValueError(f"{text!r} is not a variant such as S-B/16 or S-B/4x16")
        return cls(
            match["encoder"], match["decoder"], int(match["patch"]), int(match["stride"] or 1)
        )

    def __str__(self) -> str:
        stride = f"{self.stride}x" if self.stride > 1 else ""
        return f"{self.encoder}-{self.decoder}/{stride}{self.patch}"
