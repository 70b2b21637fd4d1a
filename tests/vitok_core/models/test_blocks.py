"""The block against torch's own attention, and what makes it cheaper without changing it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from small_models import VARIANTS, clips, drawn, normal, small
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from vitok_core.models.blocks import Attention, GatedMLP, compile_blocks
from vitok_core.models.rope import Rotations
from vitok_core.models.tubelets import Grid
from vitok_core.variants import Tower

CPU = torch.device("cpu")


def test_attention_without_rotation_is_torchs() -> None:
    attention, x = Attention(24, 3), normal(2, 5, 24)
    still = torch.ones(5, 1, 4), torch.zeros(5, 1, 4)
    expected, _ = F.multi_head_attention_forward(
        *[x.transpose(0, 1)] * 3, 24, 3, attention.qkv.weight, None, None, None, False, 0.0,
        attention.out.weight, attention.out.bias, need_weights=False,
    )  # fmt: skip
    torch.testing.assert_close(attention(x, still), expected.transpose(0, 1))


@pytest.mark.parametrize("rope", ["3d", "1d"])
def test_attention_with_rotation_is_the_sum_written_out(rope: str) -> None:
    width, heads = 24, 2
    head = width // heads
    attention, grid = Attention(width, heads), Grid(1, 2, 2)
    x = normal(1, grid.tokens + 1, width)
    cos, sin = Rotations(head, rope, latents=1).at(grid, CPU)  # type: ignore[arg-type]
    turns = torch.complex(cos, sin)[:, 0]  # (l, head/2)
    q, k, v = attention.qkv(x)[0].unflatten(-1, (3, heads, head)).unbind(1)  # (l, h, head)

    def turned(vector: Tensor, token: int) -> Tensor:
        pairs = torch.complex(vector[: head // 2], vector[head // 2 :])
        return pairs * turns[token]

    mixed = torch.zeros(len(x[0]), width)
    for h in range(heads):
        for i in range(len(x[0])):
            scores = [
                (turned(q[i, h], i) * turned(k[j, h], j).conj()).sum().real / math.sqrt(head)
                for j in range(len(x[0]))
            ]
            weights = torch.stack(scores).softmax(0)
            mixed[i, h * head : (h + 1) * head] = weights @ v[:, h]
    torch.testing.assert_close(attention(x, (cos, sin))[0], attention.out(mixed))


@pytest.mark.parametrize("gate", ["silu", "gelu"])
def test_the_gate_is_the_configurations(gate: str) -> None:
    mlp, x = GatedMLP(24, gate), normal(1, 3, 24)  # type: ignore[arg-type]
    left, right = (mlp.gate_up.weight[rows] for rows in (slice(64), slice(64, None)))
    bias = mlp.gate_up.bias
    before = x @ left.T + bias[:64]
    probability = before.sigmoid() if gate == "silu" else (1 + (before / 2**0.5).erf()) / 2
    expected = mlp.out(before * probability * (x @ right.T + bias[64:]))
    torch.testing.assert_close(mlp(x), expected)
    block = drawn(small("simple", gate=gate)).encoder.blocks[0]
    assert torch.equal(block.mlp._gate(x), getattr(F, gate)(x))  # type: ignore[union-attr, operator]


def gradients(variant: str, checkpointed: bool) -> dict[str, Tensor]:
    model, x = drawn(small(variant)), clips(2, 3, 1, 16, 16)
    model.checkpoint_activations(checkpointed)
    kept = torch.tensor([1, 2]) if model.masking is not None else None
    output, posterior = model(x, normal(2, *model.code_shape), kept)
    ((output - x).square().mean() + 1e-3 * posterior.kl_mean().mean()).backward()
    return {name: each.grad for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("variant", VARIANTS)
def test_checkpointed_gradients_are_equal_to_the_last_bit(variant: str) -> None:
    plain, checkpointed = gradients(variant, False), gradients(variant, True)
    # None is missing: data-parallel training would wait for it for ever.
    assert list(plain) == [name for name, _ in drawn(small(variant)).named_parameters()]
    assert all(torch.equal(plain[name], checkpointed[name]) for name in plain)


def test_checkpointing_runs_blocks_again_in_the_backward_pass() -> None:
    model, calls = drawn(small("simple")), []
    for block in [*model.encoder.blocks, *model.decoder.blocks]:
        block.norm_mlp.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
    model.checkpoint_activations(True)
    with torch.no_grad():
        model.reconstruct(clips(1, 3, 1, 16, 16))
    assert len(calls) == 3
    output = model.reconstruct(clips(1, 3, 1, 16, 16))
    assert len(calls) == 6
    output.sum().backward()
    assert len(calls) == 9


def test_blocks_of_equal_shape_share_one_graph() -> None:
    torch._dynamo.reset()
    towers = {
        "encoder": Tower(width=24, blocks=2, heads=2), "decoder": Tower(width=36, blocks=3, heads=3)
    }  # fmt: skip
    model, x = drawn(small("simple", **towers)), clips(2, 3, 1, 16, 16)
    names, expected = list(model.state_dict()), model.reconstruct(x)
    counter = CompileCounter()
    compile_blocks(model, counter)
    for checkpointed in (False, True):
        model.checkpoint_activations(checkpointed)
        output = model.reconstruct(x)
        output.sum().backward()
    assert counter.frame_count == 2  # one per tower
    assert list(model.state_dict()) == names
    torch.testing.assert_close(output, expected)


@pytest.mark.slow
def test_compiled_code_computes_the_same() -> None:
    torch._dynamo.reset()
    tower = Tower(width=24, blocks=2, heads=2)
    model = drawn(small("mask_latent", encoder=tower, decoder=tower))
    x = clips(2, 3, 1, 16, 16)
    expected = model.reconstruct(x, kept=2)
    compile_blocks(model)
    torch.testing.assert_close(model.reconstruct(x, kept=2), expected, atol=1e-5, rtol=1e-4)


def test_a_block_after_evaluation_still_trains() -> None:
    """Rotations that were first needed in inference mode must not spoil a later backward pass."""
    model, x = drawn(small("simple")), clips(1, 3, 1, 16, 16)
    with torch.inference_mode():
        model.reconstruct(x)
    model.reconstruct(x).sum().backward()
    assert model.embed.weight.grad is not None
