"""Masked ViTok (§8.3): a learned token replaces the code's tail, so that any length decodes.

The tokens of a code are ordered by it: a decoder that was trained on several lengths finds what
matters most in the first tokens. The text gives the number of *masked* tokens and the minimum
length; Figure 20 and the configuration give the lengths that are *kept*, and so does this module.
At evaluation E = length·c, as on Figure 20's axis (the text's E = l·2c counts mean and variance).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# How many tokens of the code are kept, from its beginning: (b,) one per clip, or one for all.
Kept = Tensor | int


def keep_mask(kept: Kept, tokens: int, device: torch.device) -> Tensor:
    """True at the kept tokens: (b, l), or (1, l) where one length serves all clips."""
    lengths = torch.as_tensor(kept, device=device).reshape(-1, 1)
    return torch.arange(tokens, device=device) < lengths


class CodeMask(nn.Module):
    """The learned token of width c that stands where the code was masked."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(channels))

    def forward(self, z: Tensor, kept: Kept) -> Tensor:
        """Codes (b, l, c) with every token from `kept` on replaced; what stood there is lost."""
        mask = keep_mask(kept, z.shape[1], z.device)
        return torch.where(mask[..., None], z, self.token.type_as(z))
