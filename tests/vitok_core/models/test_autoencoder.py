"""What the base class gives to a tokenizer of somebody's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitok_core.config import TokenizerConfig
from vitok_core.errors import UserError
from vitok_core.models.autoencoder import AutoEncoder, check_shapes
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid
from vitok_core.variants import Tower

TOWER = Tower(width=16, blocks=1, heads=2)
CONFIG = TokenizerConfig(encoder=TOWER, decoder=TOWER, patch=4, channels=3)


class Convolutional(AutoEncoder):
    """One convolution each way, with a running statistic and a parameter that both sides use."""

    def __init__(self, config: TokenizerConfig, frames: int, resolution: int) -> None:
        super().__init__(config, frames, resolution)
        p, c = config.patch, config.channels
        self.norm = nn.BatchNorm2d(3)
        self.down = nn.Conv2d(3, 2 * c, p, p)
        self.up = nn.ConvTranspose2d(c, 3, p, p)
        self.gain = nn.Parameter(torch.ones(1))

    def encode(self, x: Tensor) -> Posterior:
        moments = self.gain * self.down(self.norm(x[:, :, 0]))
        return Posterior.from_moments(moments.flatten(2).mT, self.grid_of(x))

    def decode(self, z: Tensor, grid: Grid | None = None) -> Tensor:
        grid = grid or self.grid
        image: Tensor = self.up(self.gain * z.mT.unflatten(2, (grid.h, grid.w)))
        return image[:, :, None]


def test_it_reconstructs_at_other_sizes_too() -> None:
    model = Convolutional(CONFIG, 1, 16)
    assert model.code_shape == (16, 3)
    clips = torch.rand(2, 3, 1, 24, 24) * 2 - 1
    output, posterior = model(clips, noise=torch.zeros(2, 36, 3))
    assert output.shape == clips.shape
    assert posterior.grid == (1, 6, 6)
    assert torch.equal(model.eval().reconstruct(clips), model(clips)[0])


def test_stage_2_trains_what_the_decoder_uses() -> None:
    model = Convolutional(CONFIG, 1, 16)
    model.freeze_encoder()
    trained = {name for name, each in model.named_parameters() if each.requires_grad}
    assert trained == {"up.weight", "up.bias", "gain"}
    assert all(each.grad is None for each in model.parameters())


def test_the_check_of_shapes_leaves_the_model_as_it_was() -> None:
    model = Convolutional(CONFIG, 1, 16)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    check_shapes(model)
    assert model.training
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("encode", lambda self, x: Posterior(*torch.zeros(2, 1, 15, 3), self.grid),
         r"encode gives a code \(1, l, c\) of \(1, 15, 3\), expected \(1, 16, 3\)"),
        ("decode", lambda self, z, grid=None: torch.zeros(1, 3, 16, 16),
         r"decode gives a clip .* of \(1, 3, 16, 16\), expected \(1, 3, 1, 16, 16\)"),
        ("encode", lambda self, x: torch.zeros(1, 16, 3),
         r"encode gives Tensor, expected vitok_core\.models\.posterior\.Posterior"),
        ("decode", lambda self, z, grid=None: None,
         r"decode gives NoneType, expected torch\.Tensor"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_one_line(method: str, wrong: Any, message: str) -> None:
    kind = type("Wrong", (Convolutional,), {method: wrong})
    with pytest.raises(UserError, match=message):
        check_shapes(kind(CONFIG, 1, 16))
