"""Guidance, what a sample depends on, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vitok_core.config import GeneratorConfig, SamplingConfig
from vitok_core.diffusion.check import check_sampling
from vitok_core.diffusion.objectives import objective_of
from vitok_core.diffusion.sampling import guided, sample
from vitok_core.errors import UserError
from vitok_core.models.dit import Dit
from vitok_core.variants import Tower

OBJECTIVES: dict[str, dict[str, Any]] = {
    "noise": {},
    "learned": {"learned_sigma": True},
    "v": {"objective": "v"},
    "flow": {"objective": "flow"},
}


def dit(**fields: Any) -> Dit:
    """A small one with random weights everywhere, and codes of their own mean and spread."""
    tower = Tower(width=16, blocks=1, heads=2)
    model = Dit(GeneratorConfig(model=tower, **fields), 3, (1, 2, 2), classes=4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2, generator=generator)
    model.mean.copy_(torch.tensor([0.0, 10.0, -10.0]))
    model.std.copy_(torch.tensor([1.0, 2.0, 3.0]))
    return model.eval()


def draw(model: Dit, numbers: list[int], cfg: float = 2.0, seed: int = 0, **how: Any) -> Any:
    labels = torch.tensor(numbers) % 4
    sampling = SamplingConfig(**{"steps": 5, **how})
    return sample(model, labels, cfg, sampling, seed, numbers)


@pytest.mark.parametrize("fields", OBJECTIVES.values(), ids=list(OBJECTIVES))
def test_a_sample_is_the_same_in_any_company(fields: dict[str, Any]) -> None:
    model = dit(**fields)
    how = {} if fields.get("objective") == "flow" else {"eta": 0.7}
    together = draw(model, [7, 3, 11, 12, 100_000], **how)
    parts = [draw(model, part, **how) for part in ([7], [3, 11], [12, 100_000])]
    assert together.shape == (5, 4, 3)
    assert together.dtype == torch.float32
    torch.testing.assert_close(torch.cat(parts), together, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(draw(model, [7], seed=1, **how), together[:1], atol=0.1)
    other = draw(model, [8], **how)  # another number: other noise
    assert not torch.allclose(other, together[:1], atol=0.1)


@pytest.mark.parametrize("fields", OBJECTIVES.values(), ids=list(OBJECTIVES))
def test_scale_1_is_unguided_and_scale_0_without_class(fields: dict[str, Any]) -> None:
    model, x, t = dit(**fields), torch.randn(3, 4, 3), torch.tensor([9.0, 500.0, 990.0])
    labels, none = torch.tensor([0, 1, 3]), torch.full((3,), 4)
    assert torch.equal(guided(model, labels, 1)(x, t), model(x, t, labels))
    assert torch.equal(guided(model, labels, 0)(x, t), model(x, t, none))
    # And nearly so where it is guidance that comes out there.
    torch.testing.assert_close(guided(model, labels, 1 + 1e-6)(x, t), model(x, t, labels))
    torch.testing.assert_close(guided(model, labels, 1e-6)(x, t), model(x, t, none))


def test_guidance_takes_all_channels_the_same_way_and_one_forward_pass() -> None:
    model, x, t = dit(), torch.randn(2, 4, 3), torch.tensor([500.0, 600.0])
    labels, none = torch.tensor([0, 3]), torch.tensor([4, 4])
    sizes = []
    model.embed.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    found = guided(model, labels, 3.0)(x, t)
    assert sizes == [4]
    conditional, unconditional = model(x, t, labels), model(x, t, none)
    torch.testing.assert_close(found, 3 * conditional - 2 * unconditional, rtol=1e-4, atol=1e-5)
    assert bool(((conditional - unconditional).abs() > 1e-4).any(0).any(0).all())


def test_samples_are_denormalised_codes() -> None:
    model, plain = dit(), dit()
    plain.mean.zero_()
    plain.std.fill_(1.0)
    seen = draw(plain, [0, 1, 2, 3])
    torch.testing.assert_close(draw(model, [0, 1, 2, 3]), seen * model.std + model.mean)


@pytest.mark.parametrize(("cfg", "solver"), [(1.0, "euler"), (3.0, "heun")])
def test_a_flow_takes_its_solver(cfg: float, solver: str) -> None:
    model = dit(objective="flow")
    calls = []
    model.embed.register_forward_hook(lambda module, args, output: calls.append(len(output)))
    draw(model, [0, 1], cfg=cfg, solver=solver)
    assert calls == [2 if cfg == 1 else 4] * (5 if solver == "euler" else 10)


@pytest.mark.parametrize(
    ("fields", "how", "cfg", "message"),
    [
        ({"objective": "flow"}, {"eta": 0.5}, 1.0, r"sampling\.eta: 0\.5: is DDIM's"),
        ({}, {"solver": "heun"}, 1.0, r"sampling\.solver: heun: is a flow's"),
        ({"objective": "v"}, {"steps": 2000}, 1.0, r"sampling\.steps: 2000: .* has 1000"),
        ({"label_dropout": 0.0}, {}, 1.5, r"cfg: 1\.5: with generator\.label_dropout 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    fields: dict[str, Any], how: dict[str, Any], cfg: float, message: str
) -> None:
    model = dit(**fields)
    with pytest.raises(UserError, match=message):
        draw(model, [0], cfg=cfg, **how)
    check_sampling(model.config, SamplingConfig(steps=5), 1.0)


def test_an_objective_for_each_configuration() -> None:
    for fields in OBJECTIVES.values():
        config = dit(**fields).config
        objective = objective_of(config, (4, 3))
        assert hasattr(objective, "size") == (config.objective == "flow")
    with pytest.raises(ValueError, match="learned_sigma goes with objective: noise"):
        dit(objective="v", learned_sigma=True)
