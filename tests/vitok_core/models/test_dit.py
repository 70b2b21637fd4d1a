"""The diffusion transformer: its counts, how it starts, and what its prediction depends on."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitok_core.config import GeneratorConfig
from vitok_core.cost import generator_macs, generator_parameters
from vitok_core.models.blocks import CompiledAlone
from vitok_core.models.dit import Dit, DitBlock, TimeEmbedding
from vitok_core.models.tubelets import Grid
from vitok_core.variants import DIT_SIZES, Tower

SMALL = Tower(width=24, blocks=2, heads=2)

# Parameters (M) and GFLOPs of DiT's own table (Peebles & Xie 2023, Table 4, patch 2, 256 tokens),
# where its size is ours; of L the 400 M that ViTok's paper states.
PUBLISHED = {
    "DiT-S": (33.0, 6.06),
    "DiT-B": (130.0, 23.01),
    "DiT-L": (400.0, None),
    "DiT-XL": (675.0, 118.64),
}
RECORDED = {
    "DiT-S": (32.851, 6.066),
    "DiT-B": (130.288, 23.026),
    "DiT-L": (402.445, 71.170),
    "DiT-XL": (674.763, 118.699),
}


def dit(grid: tuple[int, ...] = (1, 2, 3), classes: int = 5, **fields: Any) -> Dit:
    """A small one, initialised."""
    config = GeneratorConfig.model_validate({"model": SMALL, **fields})
    model = Dit(config, 4, grid, classes)
    model.initialise(torch.Generator().manual_seed(0))
    return model


def stirred(model: Dit) -> Dit:
    """With random weights everywhere: no zero hides what depends on what."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2, generator=generator)
    return model


def inputs(model: Dit, n: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(n, *model.code_shape, generator=generator)
    return x, torch.tensor([3.0, 500.0, 999.0])[:n], torch.tensor([0, 4, 5])[:n]


@pytest.mark.parametrize("name", DIT_SIZES)
def test_sizes_have_the_published_counts(name: str) -> None:
    millions = generator_parameters(DIT_SIZES[name], 16, 1000) / 1e6
    gflops = generator_macs(DIT_SIZES[name], 256, 16) / 1e9
    assert (round(millions, 3), round(gflops, 3)) == RECORDED[name]
    parameters, work = PUBLISHED[name]
    assert millions == pytest.approx(parameters, rel=0.01)
    if work is not None:
        assert gflops == pytest.approx(work, rel=0.001)


@pytest.mark.parametrize(
    ("tower", "channels", "grid", "learned_sigma"),
    [
        *((tower, 16, (1, 16, 16), False) for tower in DIT_SIZES.values()),
        (DIT_SIZES["DiT-S"], 64, (4, 8, 8), True),
        (Tower(width=40, blocks=3, heads=2), 3, (7,), False),  # 8d/3 is no whole number
    ],
)
def test_counts_are_those_of_the_model(
    tower: Tower, channels: int, grid: tuple[int, ...], learned_sigma: bool
) -> None:
    def on_meta(tower: Tower) -> Dit:
        return Dit(GeneratorConfig(model=tower, learned_sigma=learned_sigma), channels, grid, 10)

    with torch.device("meta"):
        count = sum(each.numel() for each in on_meta(tower).parameters())
        tower2 = tower.model_copy(update={"blocks": 2})  # one block's work is every block's
        model = on_meta(tower2)
        x = torch.zeros(1, *model.code_shape)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            output = model(x, torch.zeros(1), torch.zeros(1, dtype=torch.long))
    assert count == generator_parameters(tower, channels, 10, learned_sigma=learned_sigma)
    tokens = math.prod(grid)
    assert output.shape == (1, tokens, channels * (1 + learned_sigma))
    if tower.width % 3 == 0:  # else the convention's 8d/3 is not the model's whole number
        norms = 10 * tokens * tower.width * 2
        planned = generator_macs(tower2, tokens, channels, learned_sigma=learned_sigma)
        assert counter.get_total_flops() / 2 == planned - norms


def test_it_starts_as_the_identity_that_predicts_nothing() -> None:
    model = dit()
    x, t, labels = inputs(model)
    tokens = torch.randn(3, 6, 24)
    rotation = model._rotations.at(model.grid, x.device)
    condition = torch.randn(3, 24)
    for block in model.blocks:
        assert torch.equal(block(tokens, condition, rotation), tokens)
    assert torch.equal(model(x, t, labels), torch.zeros(3, 6, 4))
    # Nothing is dead: the first step moves the output, and with it all that stands before.
    model(x, t, labels).sub(1).square().mean().backward()
    assert model.final.weight.grad is not None
    assert float(model.final.weight.grad.abs().sum()) > 0
    with torch.no_grad():
        model.final.weight.normal_(generator=torch.Generator().manual_seed(0))
    model(x, t, labels).sub(1).square().mean().backward()
    for block in model.blocks:
        assert isinstance(block, DitBlock)
        assert block.modulation.weight.grad is not None
        assert float(block.modulation.weight.grad.abs().sum()) > 0


def test_the_start_is_a_function_of_the_seed_and_not_of_the_library() -> None:
    first, again = dit().state_dict(), dit().state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert float(first["label.weight"].std()) == pytest.approx(0.02, rel=0.2)
    bound = math.sqrt(6 / (24 + 3 * 24))  # Xavier's
    weights = first["blocks.0.attention.qkv.weight"]
    assert bound * 0.95 < float(weights.abs().max()) <= bound


def test_a_block_is_adaln_zeros_formula() -> None:
    """Peebles & Xie 2023, Figure 3: shift, scale and gate of attention, then those of the MLP."""
    block = stirred(dit()).blocks[0]
    assert isinstance(block, DitBlock)
    draws = torch.Generator().manual_seed(3)
    x, condition = (torch.randn(*shape, generator=draws) for shape in ((3, 6, 24), (3, 24)))
    rotation = dit()._rotations.at(Grid(1, 2, 3), x.device)
    norm = torch.nn.LayerNorm(24, elementwise_affine=False)
    shift, scale, gate, *of_mlp = block.modulation(condition)[:, None].chunk(6, dim=-1)
    expected = x + gate * block.attention(norm(x) * (1 + scale) + shift, rotation)
    shift, scale, gate = of_mlp
    expected = expected + gate * block.mlp(norm(expected) * (1 + scale) + shift)
    torch.testing.assert_close(block(x, condition, rotation), expected)


def test_time_class_and_place_are_heeded() -> None:
    model = stirred(dit())
    x, t, labels = inputs(model)
    output = model(x, t, labels)
    assert not torch.allclose(model(x, t + 1, labels), output, atol=1e-4)
    assert not torch.allclose(model(x, t, labels.flip(0)), output, atol=1e-4)
    turned = model(x.flip(1), t, labels).flip(1)
    assert not torch.allclose(turned, output, atol=1e-4)
    # Samples do not see each other.
    alone = torch.cat([model(x[i : i + 1], t[i : i + 1], labels[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(alone, output)


def test_latent_tokens_stand_in_a_row_and_tubelets_on_their_grid() -> None:
    row, grid = stirred(dit((6,))), stirred(dit((1, 2, 3)))
    x, t, labels = inputs(row)
    assert row.code_shape == grid.code_shape == (6, 4)
    assert not torch.allclose(row(x, t, labels), grid(x, t, labels), atol=1e-4)
    # Rotary positions are relative: swapping the rows of an image of two rows mirrors the output's.
    lines = grid(x.unflatten(1, (2, 3)).flip(1, 2).flatten(1, 2), t, labels)
    assert not torch.allclose(lines, grid(x, t, labels), atol=1e-4)


def test_the_time_embedding_is_its_formula() -> None:
    embed = TimeEmbedding(16)
    with torch.no_grad():
        embed.first.weight.zero_()
        embed.first.bias.zero_()
        embed.first.weight[0, 3] = embed.first.weight[1, 128 + 3] = 1.0
        embed.second.weight.copy_(torch.eye(16))
        embed.second.bias.zero_()
    angle = 7.5 * 10_000 ** (-3 / 128)
    expected = [value / (1 + math.exp(-value)) for value in (math.cos(angle), math.sin(angle))]
    assert embed(torch.tensor([7.5]))[0, :2].tolist() == pytest.approx(expected, rel=1e-5)


def test_what_is_normalised_comes_back() -> None:
    model = dit()
    model.mean.copy_(torch.tensor([1.0, -2.0, 0.0, 5.0]))
    model.std.copy_(torch.tensor([0.5, 2.0, 1.0, 10.0]))
    z = model.mean + model.std * torch.randn(2000, 6, 4, generator=torch.Generator().manual_seed(0))
    x = model.normalise(z)
    assert float(x.mean((0, 1)).abs().max()) < 0.05
    assert float((x.std((0, 1)) - 1).abs().max()) < 0.05
    torch.testing.assert_close(model.denormalise(x), z)


def test_checkpointed_activations_change_no_gradient() -> None:
    gradients = []
    for on in (False, True):
        model = stirred(dit())
        model.checkpoint_activations(on)
        model(*inputs(model)).square().mean().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert torch.equal(plain, checkpointed)


def test_its_blocks_are_what_is_compiled() -> None:
    assert [type(each) for each in dit().modules() if isinstance(each, CompiledAlone)] == [
        DitBlock, DitBlock,
    ]  # fmt: skip
