"""Whether samples can be drawn as they are asked for. Torch-free: planning asks it too."""

from __future__ import annotations

from vitok_core.config import GeneratorConfig, SamplingConfig
from vitok_core.errors import UserError

STEPS = 1000  # of the noise schedule


def check_sampling(generator: GeneratorConfig, sampling: SamplingConfig, cfg: float) -> None:
    """UserError where a generator of that objective cannot be sampled so, at guidance `cfg`."""
    flow = generator.objective == "flow"
    if flow and sampling.eta:
        raise UserError(
            f"sampling.eta: {sampling.eta:g}: is DDIM's; generator.objective is flow, set it to 0"
        )
    if not flow and sampling.solver != "euler":
        raise UserError(
            f"sampling.solver: {sampling.solver}: is a flow's; generator.objective is "
            f"{generator.objective}, which DDIM samples: leave it out"
        )
    if not flow and sampling.steps > STEPS:
        raise UserError(
            f"sampling.steps: {sampling.steps}: the noise schedule has {STEPS}; give no more"
        )
    if cfg != 1 and generator.label_dropout == 0:
        raise UserError(
            f"cfg: {cfg:g}: with generator.label_dropout 0 the generator never sees a sample "
            "without its class; give 1, or train with a dropout"
        )
