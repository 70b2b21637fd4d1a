"""Stage 1: train an auto-encoder (§2.3)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from vitok_core.config import TokenizerJob
from vitok_core.context import Context
from vitok_core.data.samples import Batch
from vitok_core.objectives.perceptual import open_perceptual
from vitok_core.training.checkpoint import State
from vitok_core.training.distributed import World, join
from vitok_core.training.loop import train
from vitok_core.training.schedule import learning_rate
from vitok_core.training.setup import Forward, make_optimizer, open_run, place, starting_model
from vitok_core.training.step import autoencode, batch_gradients, clip, guard, set_rate

_REMEDY = "Lower train.base_lr, or set train.clip_norm"


def train_tokenizer(config: TokenizerJob, context: Context) -> None:
    """Train to the last step and leave `checkpoints/<attempt>/final.pt`; see `loop.train`."""
    with join(context.machine) as world:
        train(TokenizerStage(config, context, world))


class TokenizerStage:
    """Both towers under Eq. 1 without its adversarial term."""

    def __init__(self, config: TokenizerJob, context: Context, world: World | None = None) -> None:
        self.perceptual = open_perceptual(config.loss, context)
        self.run = open_run(config, config.train, context, world)
        self.model = place(starting_model(config, self.run), self.run)
        self.forward: Forward = self.model
        self.optimizer = make_optimizer(self.model, config.train)

    def update(self, batch: Batch) -> dict[str, float]:
        """One optimizer step."""
        run, config = self.run, self.run.train
        rate = learning_rate(config, run.config.data.frames, run.step)
        set_rate(self.optimizer, rate)

        self.optimizer.zero_grad(set_to_none=True)
        terms = batch_gradients(run, batch, self._backward, self.model.parameters())
        norm = clip(self.model, config.clip_norm)
        guard({"loss": terms["loss"], "gradient norm": norm}, run.step + 1, _REMEDY)

        self.optimizer.step()
        return {**terms, "grad_norm": norm, "lr": rate}

    def _backward(self, batch: Batch, share: float) -> Mapping[str, Tensor]:
        _, _, loss = autoencode(self.run, self.model, self.forward, self.perceptual, batch)
        (share * loss.total).backward()  # type: ignore[no-untyped-call]
        return loss.terms

    def state(self) -> State:
        """Weights and optimizer."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: State) -> None:
        """Go on from `state`; a finished training's final checkpoint has no optimizer."""
        self.model.load_state_dict(state["model"])
        if state["step"] < self.run.train.steps:
            self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> State:
        """The trained weights."""
        return {"model": self.model.state_dict()}

    def summary(self) -> dict[str, str]:
        """The perceptual network, where there is one."""
        return {} if self.perceptual is None else {"perceptual": self.perceptual.protocol}
