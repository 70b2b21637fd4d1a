"""Stage 2: fine-tune a trained tokenizer with an adversarial term (§2.3, §8.2).

One step is one batch: the gradients of tokenizer and discriminator are both taken at the weights
before it, the discriminator's on the very reconstructions that the tokenizer's loss saw; then both
are updated. What is evaluated is the average of the tokenizer's weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from vitok_core.config import FinetuneJob
from vitok_core.context import Context
from vitok_core.data.samples import Batch
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.build import build_tokenizer
from vitok_core.objectives.perceptual import open_perceptual
from vitok_core.training.adversary import Adversary
from vitok_core.training.checkpoint import State
from vitok_core.training.distributed import World, join
from vitok_core.training.ema import Ema
from vitok_core.training.loop import train
from vitok_core.training.schedule import learning_rate
from vitok_core.training.setup import Forward, make_optimizer, open_run, place
from vitok_core.training.step import autoencode, batch_gradients, clip, guard, set_rate
from vitok_core.training.trained import load_model

_REMEDY = "Lower finetune.base_lr or gan.disc_lr, or set finetune.clip_norm"


def finetune_tokenizer(config: FinetuneJob, context: Context) -> None:
    """Train to the last step and leave `checkpoints/<attempt>/final.pt`; see `loop.train`."""
    with join(context.machine) as world:
        train(FinetuneStage(config, context, world))


class FinetuneStage:
    """The decoder, or the whole tokenizer, under all of Eq. 1.

    With `gan.weight` 0 there is no discriminator: the tokenizer would never heed it.
    """

    def __init__(self, config: FinetuneJob, context: Context, world: World | None = None) -> None:
        self.perceptual = open_perceptual(config.loss, context)
        self.run = open_run(config, config.finetune, context, world)
        self.model = place(parent_model(config, context), self.run)
        self.forward: Forward = self.model
        self.optimizer = make_optimizer(self.model, config.finetune)
        self.ema = Ema(self.model, config.finetune.ema) if config.finetune.ema else None
        self.adversary = Adversary(config, self.run) if config.gan.weight else None

    def update(self, batch: Batch) -> dict[str, float]:
        """One optimizer step of each."""
        run, config, adversary = self.run, self.run.train, self.adversary
        rate = learning_rate(config, run.config.data.frames, run.step)
        set_rate(self.optimizer, rate)

        self.optimizer.zero_grad(set_to_none=True)
        if adversary:
            adversary.optimizer.zero_grad(set_to_none=True)
        terms = batch_gradients(run, batch, self._backward, self._parameters())
        watched = {"loss": terms["loss"], "gradient norm": clip(self.model, config.clip_norm)}
        if adversary:
            watched["discriminator's loss"] = terms["disc_loss"]
            watched["discriminator's gradient norm"] = adversary.clip()
        guard(watched, run.step + 1, _REMEDY)

        self.optimizer.step()
        terms |= {"grad_norm": watched["gradient norm"], "lr": rate}
        if adversary:
            terms["gan_weight"] = adversary.weight
            terms["disc_grad_norm"] = watched["discriminator's gradient norm"]
            terms["disc_lr"] = adversary.step()
        if self.ema:
            self.ema.update()
        return terms

    def _parameters(self) -> Iterator[nn.Parameter]:
        yield from self.model.parameters()
        if self.adversary:
            yield from self.adversary.model.parameters()

    def _backward(self, batch: Batch, share: float) -> Mapping[str, Tensor]:
        run, model = self.run, self.model
        x, output, loss = autoencode(run, model, self.forward, self.perceptual, batch)
        total, terms, adversary = loss.total, loss.terms, self.adversary
        if adversary and adversary.weight > 0:
            term = adversary.tokenizer_loss(output)
            total = total + adversary.weight * term
            terms |= {"loss": total.detach(), "loss_gan": term.detach()}
        (share * total).backward()  # type: ignore[no-untyped-call]
        if adversary:
            own = adversary.own_loss(x, output)
            (share * own["disc_loss"]).backward()  # type: ignore[no-untyped-call]
            terms |= {name: value.detach() for name, value in own.items()}
        return terms

    def state(self) -> State:
        """Both networks with their optimizers, and the averages."""
        state: State = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.ema:
            state["ema"] = self.ema.averages
        if self.adversary:
            state["discriminator"] = self.adversary.state()
        return state

    def load(self, state: State) -> None:
        """Go on from `state`; a finished training's final checkpoint has weights alone."""
        finished = state["step"] >= self.run.train.steps
        self.model.load_state_dict(state["raw" if finished and self.ema else "model"])
        if self.ema:
            self.ema.load(state["model" if finished else "ema"])
        if finished:
            return
        self.optimizer.load_state_dict(state["optimizer"])
        if self.adversary:
            self.adversary.load(state["discriminator"])

    def weights(self) -> State:
        """The averaged weights, and beside them the raw ones; without averaging those alone."""
        raw = self.model.state_dict()
        if self.ema is None:
            return {"model": raw}
        return {"model": {**raw, **self.ema.averages}, "raw": raw}

    def summary(self) -> dict[str, str]:
        """The perceptual network, where there is one."""
        return {} if self.perceptual is None else {"perceptual": self.perceptual.protocol}


def parent_model(config: FinetuneJob, context: Context) -> AutoEncoder:
    """The parent's final weights, in training mode where `scope` says so and frozen elsewhere."""
    (parent,) = context.parents
    trained = load_model(parent.folder)
    # Of this job's own size: positions are rotary, so the weights know no resolution.
    model = build_tokenizer(config.tokenizer, config.data.frames, config.data.resolution)
    model.load_state_dict(trained.state_dict())
    if config.finetune.scope == "decoder":
        model.freeze_encoder()
    return model
