"""A trained tokenizer in use: pictures or clips in, codes out, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vitok_core.data.pictures import Pictures, to_clips
from vitok_core.data.pixels import to_uint8
from vitok_core.errors import UserError
from vitok_core.models.tubelets import Grid, grid_of
from vitok_core.training.trained import Trained


@dataclass(frozen=True)
class Code:
    """What a batch of pictures or clips was encoded to.

    Attributes:
        z: (b, l, c) float32: l tokens of c channels each, for each clip.
        grid: how many tubelets the clips have along time, height and width. Their tokens stand in
            raster order; the latent variants have l tokens of their own.
    """

    z: Tensor
    grid: Grid

    @property
    def floats(self) -> int:
        """E = l·c, the numbers that one clip's code has."""
        return self.z.shape[1] * self.z.shape[2]


class Tokenizer:
    """A trained tokenizer, made by `vitok_core.load_tokenizer`. No gradients are recorded.

    Attributes:
        model: the `ViTok` itself, or what a class of one's own made, a torch module in evaluation
            mode: for gradients, for the posterior's variance, for parts of it.
        config: its `TokenizerConfig`: patch, stride, channels, towers, variant.
        resolution, frames: what it was trained at. Any other height and width that the patch
            divides work too, and any number of frames that the stride divides.
        step: optimizer steps that it was trained for, in its last stage.
        weights_sha256: digest of its weights, as in the artifact `training.json` of its job.
    """

    def __init__(self, trained: Trained, device: torch.device | str, dtype: torch.dtype) -> None:
        self.model = trained.model().to(_there(device), dtype)
        self.config = trained.config.tokenizer
        self.resolution = trained.config.data.resolution
        self.frames = trained.config.data.frames
        self.step = trained.step
        self.weights_sha256 = trained.weights_sha256
        self.device, self.dtype = torch.device(device), dtype

    @torch.no_grad()
    def encode(
        self, images: Pictures, *, sample: bool = False, generator: torch.Generator | None = None
    ) -> Code:
        """The code of each picture or clip: the posterior's mean, or with `sample` a draw from it.

        Args:
            images: as `vitok_core.data.pictures.to_clips` takes them: PIL images of one size; numpy
                uint8, channels last; tensors, channels first, uint8 0..255 or floats in [-1, 1].
            generator: where a draw's noise comes from; None: torch's global one.

        Raises:
            UserError: not pictures, or of a size that patch and stride do not divide.
        """
        clips = to_clips(images)
        self._check_size(*clips.shape[2:])
        posterior = self.model.encode(clips.to(self.device, self.dtype))
        if not sample:
            return Code(posterior.mean, posterior.grid)
        place = self.device if generator is None else generator.device
        noise = torch.randn(posterior.mean.shape, generator=generator, device=place)
        return Code(posterior.sample(noise.to(self.device)), posterior.grid)

    @torch.no_grad()
    def decode(
        self, code: Code | Tensor, *, length: int | None = None, as_uint8: bool = True
    ) -> Tensor:
        """Pictures (b, 3, h, w), or clips (b, 3, t, h, w) where they have several frames.

        Args:
            code: what `encode` gave, or z alone (b, l, c) for clips of `resolution` and `frames`.
            length: of a masked variant, how many of the code's first tokens count; None: all.
            as_uint8: uint8 0..255, rounded; otherwise float32, clipped to [-1, 1].

        Raises:
            UserError: a code of another shape, a length that this tokenizer cannot decode, or
                pixels that are not finite, where `as_uint8` would make black ones of them.
        """
        code = code if isinstance(code, Code) else Code(code, self.model.grid)
        self._check_shape(code)
        kept = self.model.kept_length(length, code.grid)
        clips = self.model.rebuild(code.z.to(self.device, self.dtype), code.grid, kept).float()
        images = clips[:, :, 0] if clips.shape[2] == 1 else clips
        if not as_uint8:
            return images.clamp(-1.0, 1.0)
        if not bool(images.isfinite().all()):
            raise UserError(
                f"code: decodes to pixels that are not finite, computed in {self.dtype}; give a "
                "finite code, or a dtype of a wider range"
            )
        return to_uint8(images)

    def _check_size(self, frames: int, height: int, width: int) -> None:
        q, p = self.config.stride, self.config.patch
        try:
            grid_of(frames, height, width, q, p)
        except ValueError:
            fit = frames - frames % q, height - height % p, width - width % p
            said = (
                f"{'x'.join(map(str, fit))} would fit" if all(fit) else f"give at least {q}x{p}x{p}"
            )
            raise UserError(
                f"images: frames x height x width {frames}x{height}x{width} must divide by "
                f"{q}x{p}x{p}; {said}"
            ) from None

    def _check_shape(self, code: Code) -> None:
        tokens, channels = self.model.code_tokens(code.grid), self.config.channels
        if code.z.ndim != 3 or tuple(code.z.shape[1:]) != (tokens, channels):
            raise UserError(
                f"code: shape {tuple(code.z.shape)}; expected (b, {tokens}, {channels}) for "
                f"{'x'.join(map(str, code.grid))} tubelets"
            )


def _there(device: torch.device | str) -> torch.device:
    """The device, proved to exist; UserError otherwise."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch lacks the back-end
        raise UserError(f"device: {device}: {str(error).splitlines()[0]}") from error
    return torch.device(device)
