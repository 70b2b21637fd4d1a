"""Parameters and multiply-accumulates of tokenizers, by the paper's convention, and of generators.

Torch-free.

The printed numbers of Tables 1, 3, 4 and 5 are those of a plain ViT: LayerNorm, a 4d feed-forward,
biases. A SwiGLU of hidden width 8d/3 has the same three-matrix size as a 4d feed-forward of two
(3 · d · 8d/3 = 2 · d · 4d), so every tower here is counted that way, user-defined ones too.

- "GFLOPs" are multiply-accumulates (MACs), as in the paper's tables. True FLOPs are twice that.
- Counted: matrix products, QKᵀ and AV (2L²d a block), two norms a block at 5 operations an element.
  Not counted: softmax, activation, RoPE, the final norms.
- Learned positions are counted for images (256 of them, whatever L: Table 4 prints the 129.0 M of
  Table 3 at 1024 tokens) and not for video. The unembedding has no bias.
- A latent variant (§8.3) runs both towers over L + L_latent tokens; its latent tokens alone pass
  the code's linear layers. Its learned tokens are counted: latent tokens, their places in the
  decoder, the mask token. The c values of a masked variant's token are not.
- The patch has 3·q·p² values. Table 5 counts q = p = 8 and 4x16 with the image's 768, which prints
  73.2 and 34.8; the true values are 73.78 and 35.68 (129.98 M and 132.34 M parameters).
"""

from __future__ import annotations

from dataclasses import dataclass

from vitok_core.variants import Tower, gated_width

_POSITIONS = 256
_NORM_OPERATIONS = 5  # per element and norm
TIME_FREQUENCIES = 256  # values of a generator's embedding of the time, before its two linear maps

# VGG-16's convolutions: (input channels, output channels, how often the image was halved).
_VGG16 = (
    (3, 64, 0), (64, 64, 0),
    (64, 128, 1), (128, 128, 1),
    (128, 256, 2), (256, 256, 2), (256, 256, 2),
    (256, 512, 3), (512, 512, 3), (512, 512, 3),
    (512, 512, 4), (512, 512, 4), (512, 512, 4),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What is encoded (T×H×W pixels) and how: tubelets of q×p×p, c channels per token.

    `latents`: L_latent of the variants latent and mask_latent; None: the code has a token for each
    tubelet.
    """

    resolution: int
    patch: int
    channels: int
    frames: int = 1
    stride: int = 1
    latents: int | None = None

    @property
    def tubelets(self) -> int:
        """T/q · H/p · W/p."""
        return (self.frames // self.stride) * (self.resolution // self.patch) ** 2

    @property
    def tokens(self) -> int:
        """L of the code: its latent tokens, else its tubelets."""
        return self.tubelets if self.latents is None else self.latents

    @property
    def sequence(self) -> int:
        """How many tokens a tower attends to: the tubelets and any latent tokens."""
        return self.tubelets + (self.latents or 0)

    @property
    def code(self) -> int:
        """E = L·c, the floating points of the code."""
        return self.tokens * self.channels

    @property
    def patch_values(self) -> int:
        """Values of one tubelet: 3·q·p²."""
        return 3 * self.stride * self.patch**2

    @property
    def pixels_per_channel(self) -> float:
        """T·H·W·3 / E, the compression rate."""
        return self.frames * self.resolution**2 * 3 / self.code


def _block_parameters(tower: Tower) -> int:
    d = tower.width
    return tower.blocks * (12 * d * d + 13 * d)


def _block_macs(tower: Tower, tokens: int) -> int:
    d = tower.width
    matrices = 12 * d * d * tokens
    attention = 2 * tokens * tokens * d
    norms = 2 * _NORM_OPERATIONS * tokens * d
    return tower.blocks * (matrices + attention + norms)


def tower_parameters(tower: Tower) -> int:
    """Table 1's count of one tower: blocks, 16×16 patch embedding, 256 positions, final norm."""
    return _block_parameters(tower) + (3 * 16 * 16 + 1 + _POSITIONS + 2) * tower.width


def tokenizer_parameters(encoder: Tower, decoder: Tower, shape: Shape) -> int:
    """Parameters of the auto-encoder (Tables 3-5)."""
    de, dd, values, c = encoder.width, decoder.width, shape.patch_values, shape.channels
    embedding = values * de + de
    positions = _POSITIONS * de if shape.frames == 1 else 0
    final_norms = 2 * de + 2 * dd
    latent = (de * 2 * c + 2 * c) + (c * dd + dd)
    unembedding = dd * values
    blocks = _block_parameters(encoder) + _block_parameters(decoder)
    learned = 0 if shape.latents is None else shape.latents * (de + dd) + dd
    return blocks + embedding + positions + final_norms + latent + unembedding + learned


def encoder_macs(encoder: Tower, shape: Shape) -> int:
    """Multiply-accumulates from one sample's pixels to its code's mean and variance."""
    embedding = shape.tubelets * shape.patch_values * encoder.width
    moments = shape.tokens * encoder.width * 2 * shape.channels
    return embedding + _block_macs(encoder, shape.sequence) + moments


def decoder_macs(decoder: Tower, shape: Shape) -> int:
    """Multiply-accumulates from one sample's code to its pixels."""
    projection = shape.tokens * shape.channels * decoder.width
    unembedding = shape.tubelets * decoder.width * shape.patch_values
    return projection + _block_macs(decoder, shape.sequence) + unembedding


def tokenizer_macs(encoder: Tower, decoder: Tower, shape: Shape) -> int:
    """Multiply-accumulates of one sample's forward pass: the paper's "GFLOPs" × 1e9."""
    return encoder_macs(encoder, shape) + decoder_macs(decoder, shape)


def generator_parameters(
    tower: Tower, channels: int, classes: int, *, learned_sigma: bool = False
) -> int:
    """Parameters of a class-conditional diffusion transformer, to the last one.

    Args:
        channels: c of the code's tokens, its input.
        classes: how many; the null class of classifier-free guidance is counted beside them.
    """
    d, hidden, outputs = tower.width, gated_width(tower.width), channels * (1 + learned_sigma)
    attention = 4 * d * d + d
    feed_forward = 3 * d * hidden + 2 * hidden + d
    modulation = 6 * (d * d + d)
    ends = (channels * d + d) + (2 * d * d + 2 * d) + (d * outputs + outputs)
    conditions = (TIME_FREQUENCIES * d + d) + (d * d + d) + (classes + 1) * d
    return tower.blocks * (attention + feed_forward + modulation) + ends + conditions


def generator_macs(tower: Tower, tokens: int, channels: int, *, learned_sigma: bool = False) -> int:
    """Multiply-accumulates of one sample's forward pass, counted as a tokenizer's are.

    Guidance takes two of them for each step of a sampler.
    """
    d, outputs = tower.width, channels * (1 + learned_sigma)
    modulation = (6 * tower.blocks + 2) * d * d
    time = TIME_FREQUENCIES * d + d * d
    return _block_macs(tower, tokens) + tokens * d * (channels + outputs) + modulation + time


def vgg16_macs(resolution: int, frames: int = 1) -> int:
    """Multiply-accumulates of VGG-16's convolutions (the trunk of LPIPS) on one sample's frames."""
    per_frame = sum(
        9 * inputs * outputs * (resolution >> halvings) ** 2 for inputs, outputs, halvings in _VGG16
    )
    return per_frame * frames


def discriminator_macs(width: int, resolution: int, frames: int = 1) -> int:
    """Multiply-accumulates of StyleGAN's residual discriminator on one sample's frames.

    Convolutions alone: `width` channels at full resolution, twice as many at each halving up to
    512, down to 4×4 pixels.
    """
    side, channels = resolution, min(512, width)
    macs = 3 * channels * side * side
    while side >= 8:
        wider, half = min(512, 2 * channels), (side // 2) ** 2
        macs += 9 * channels * channels * side * side + 10 * channels * wider * half
        side, channels = side // 2, wider
    return (macs + 9 * channels * channels * side * side) * frames
