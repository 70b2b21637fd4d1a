from __future__ import annotations

import pytest
import torch

from vitok_core.models.rope import Rope, Rotations, angles, grid_positions, rotate, split_pairs
from vitok_core.models.tubelets import Grid


@pytest.mark.parametrize(
    ("width", "split"), [(64, (10, 11, 11)), (72, (12, 12, 12)), (32, (5, 5, 6)), (2, (0, 0, 1))]
)
def test_pairs_are_dealt_to_the_three_axes(width: int, split: tuple[int, int, int]) -> None:
    assert split_pairs(width) == split


def test_an_odd_head_is_refused() -> None:
    with pytest.raises(ValueError, match="head width 9 is not even"):
        split_pairs(9)


def scores(q: torch.Tensor, k: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Attention scores (l, l) of one query and one key vector put at every position."""
    turn = angles(positions, q.shape[-1])[:, None]
    rotation = (turn.cos().float(), turn.sin().float())
    count = len(positions)
    return (
        rotate(q.expand(count, 1, -1), rotation)[:, 0]
        @ rotate(k.expand(count, 1, -1), rotation)[:, 0].T
    )


@pytest.mark.parametrize("width", [64, 72, 10])
@pytest.mark.parametrize("shift", [(3, 0, 0), (0, 5, 0), (0, 0, 7), (2, 3, 4)])
def test_scores_depend_on_relative_positions_alone(width: int, shift: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, width, generator=generator)
    positions = grid_positions(Grid(2, 3, 3))
    here = scores(q, k, positions)
    there = scores(q, k, positions + torch.tensor(shift))
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_axis_is_told_apart(axis: int) -> None:
    positions = torch.zeros(4, 3, dtype=torch.long)
    positions[:, axis] = torch.arange(4)
    q = torch.ones(64)
    row = scores(q, q, positions)[0]
    assert len({round(float(value), 3) for value in row}) == 4


def test_time_stands_still_in_an_image() -> None:
    cos, sin = Rotations(64).at(Grid(1, 4, 4), torch.device("cpu"))
    temporal = split_pairs(64)[0]
    assert (cos[..., :temporal] == 1).all()
    assert (sin[..., :temporal] == 0).all()


def test_rotation_keeps_lengths_and_type() -> None:
    x = torch.randn(2, 16, 4, 64, generator=torch.Generator().manual_seed(0))
    rotation = Rotations(64).at(Grid(1, 4, 4), torch.device("cpu"))
    torch.testing.assert_close(rotate(x, rotation).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), rotation).dtype == torch.bfloat16


@pytest.mark.parametrize("shift", [1, 200])
def test_one_axis_scores_depend_on_the_distance_in_raster_order(shift: int) -> None:
    q, k = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    positions = grid_positions(Grid(2, 3, 3), "1d")
    assert positions[:, 0].tolist() == list(range(18))
    here = scores(q, k, positions)
    torch.testing.assert_close(here, scores(q, k, positions + shift), atol=1e-4, rtol=1e-4)
    for offset in (-5, 0, 7):
        diagonal = here.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)
    assert not torch.equal(here, scores(q, k, grid_positions(Grid(2, 3, 3))))


def test_one_axis_is_the_rotation_of_the_rope_paper() -> None:
    """Su et al. 2021, Eq. 15: pair i at position m turns by m · 10000^(-2i/D)."""
    x = torch.randn(1, 30, 2, 8, generator=torch.Generator().manual_seed(0))
    frequency = 10_000.0 ** (-2 * torch.arange(4, dtype=torch.float64) / 8)
    turn = torch.polar(torch.ones(()).double(), torch.arange(30)[:, None, None] * frequency)
    turned = torch.complex(*x.double().chunk(2, dim=-1)) * turn
    expected = torch.cat((turned.real, turned.imag), dim=-1).float()
    rotation = Rotations(8, "1d").at(Grid(1, 5, 6), torch.device("cpu"))
    torch.testing.assert_close(rotate(x, rotation), expected)


@pytest.mark.parametrize("rope", ["3d", "1d"])
def test_latent_tokens_are_spread_over_the_grid(rope: Rope) -> None:
    cpu, grid = torch.device("cpu"), Grid(2, 3, 4)
    alone = Rotations(64, rope).at(grid, cpu)
    for latents, places in (
        (24, range(24)),
        (4, [3, 9, 15, 21]),
        (48, [j // 2 for j in range(48)]),
        (1, [12]),
    ):
        both = Rotations(64, rope, latents).at(grid, cpu)
        for found, expected in zip(both, alone, strict=True):
            assert torch.equal(found[:24], expected)
            assert torch.equal(found[24:], expected[list(places)])
