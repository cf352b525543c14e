"""Whether a discriminator that shares nothing with the game can tell samples from held-out rows, and by how much."""

import copy
import math
from operator import length_hint
from typing import Annotated, Any, NamedTuple

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn.functional import softplus

from gangen.components.options import Part
from gangen.components.registry import name_of
from gangen.errors import UsageError
from gangen.metrics.context import FEW, MetricContext, once_a_run
from gangen.metrics.extraction import held_out
from gangen.metrics.figures import Figure
from gangen.metrics.log_ratios import Rows, accuracy, asked, auc, gain, gains_drawn_again, interval, logits_of
from gangen.networks import trainable
from gangen.noise import mix
from gangen.samplers import drawing

# Of what a judge learns from, this share shows when to stop, and how sure it may be; it is asked so many times.
VALIDATION, LOOKS = 0.1, 10
SCALES = torch.linspace(0, 2, 41, dtype=torch.float64)
# So many rows show beforehand whether a judge fits.
TRIED = 8


class Verdict(NamedTuple):
    """The figures of a judge, and its gain on bootstraps of them, float64 ``[bootstraps]``."""

    figures: dict[str, float]
    gains: Tensor


class HeldOutJudge:
    """The room that a generator leaves: what a fresh discriminator gains that knows neither game nor discriminator.

    The judge learns, by cross-entropy, to tell training rows from samples (noise-contrastive estimation, Gutmann and
    Hyvarinen 2010), whose logit s is log p_real(x) / p_sample(x) at best, and is asked about held-out rows and fresh
    samples. Samples are made on what the rows beside them were made on, so no label gives them away, and are rounded
    as rows of data are. Of the judge's ``steps`` the best by a tenth of its rows counts, and by these its logits are
    scaled (Guo et al. 2017), down to 0 where it learned nothing: one that is too sure of itself would gain less.

    ``judge_accuracy`` and ``judge_auc`` are .5 where nobody can tell. ``judge_gain``, in nats a sample, is
    E_real[s] - log E_sample[exp s] (Donsker and Varadhan 1983), which for the whole distributions is at most
    KL(real | samples), and what the likelihood of held-out rows gains where samples are weighted by exp(s). Of n
    samples it is no more than a rough figure from log n on, which comes with a warning (McAllester and Stratos 2020).
    ``judge_gain_low`` and ``judge_gain_high`` are the 95 % interval of a bootstrap over rows; another judge would
    differ by more. Beside them stands the floor, training rows in the place of samples, of which a judge learns nothing
    but chance; where there are not enough of them for both sides, from fewer.

    Where the sampler of the run has settings, ``plain``, by which its generator stands alone, these samples are judged
    too: ``judge_room`` is their gain and ``judge_used`` the share of it that the sampler takes away, both with an
    interval; the share is nan where the interval of the room reaches down to 0.

    ``discriminator`` is a component; null is the one that the data bring along. It is none of the players: what a
    sampler chose by one is told best by another. ``samples`` held-out rows and as many samples are judged, fewer where
    there are fewer rows; ``training`` rows and as many samples teach, ``batch_size`` of each in a step, by AdamW with
    the rate ``lr``. From fewer rows a judge learns less, and finds less room.
    """

    def __init__(
        self,
        *,
        discriminator: Annotated[Any, Part("discriminators")] | None = None,
        samples: Annotated[int, Ge(FEW)] = 1000,
        training: Annotated[int, Ge(2 * FEW)] = 16_000,
        steps: Annotated[int, Ge(1)] = 400,
        batch_size: Annotated[int, Ge(1)] = 64,
        lr: Annotated[float, Gt(0)] = 1e-3,
    ) -> None:
        self.discriminator: nn.Module | None = discriminator
        self.samples = samples
        self.training = training
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for too few rows, and where there is no discriminator that gives each row its logit."""
        codec = context.data.codec
        needed = ["samples_of", "batch_of"] + ["discriminator"] * (self.discriminator is None)
        if lacks := [name for name in needed if not hasattr(codec, name)]:
            advice = "; name one, as in {use: judge, discriminator: NAME}" if lacks == ["discriminator"] else ""
            raise UsageError(f"{name_of(self)}: {type(codec).__name__} lacks {', '.join(lacks)}{advice}")
        counts = {"held-out": len(context.data.heldout), "training": length_hint(context.training, self.training)}
        for (kind, count), least in zip(counts.items(), (FEW, 2 * FEW), strict=True):
            if count < least:
                raise UsageError(f"{name_of(self)} needs at least {least} {kind} rows, and there are {count}")
        judge = self._fresh(context)
        with drawing(context.seed, context.device, judge):
            asked(judge, self._held_out(context, TRIED))

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows taught and were judged, and by whom."""
        judge = type(self._fresh(context) if self.discriminator is None else self.discriminator).__name__
        return {"samples": self._count(context), "training rows": self._taught_by(context), "judge": judge}

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        (figures, gains), floor = self._judged(context), self._floor(context).figures
        ends = ("judge_gain_low", "judge_gain_high")
        found = {name: Figure(value, floor[name], None if name in ends else "low") for name, value in figures.items()}
        if figures["judge_gain"] > (limit := math.log(self._count(context))):
            context.warn(
                f"{name_of(self)}: samples are told apart almost surely, and of so few no gain beyond {limit:.1f} nats "
                "can be shown; take it for large"
            )
        alone, used = figures, ""
        plain = getattr(context.sampler, "plain", None)
        if plain is not None and not plain.items() <= context.settings.items():
            alone, rooms = self._judged(context.sampled(context.seed, {**context.settings, **plain}))
            found |= {name.replace("gain", "room"): Figure(alone[name]) for name in ("judge_gain", *ends)}
            known = alone["judge_gain_low"] > 0
            share = 1 - figures["judge_gain"] / alone["judge_gain"] if known else math.nan
            least, most = interval(1 - gains / rooms) if known else (math.nan, math.nan)
            found |= {
                "judge_used": Figure(share, 1.0, "high"),
                "judge_used_low": Figure(least),
                "judge_used_high": Figure(most),
            }
            share_of = f"; the sampler uses {share:.0%} of it ({least:.0%} to {most:.0%})"
            used = share_of if known else "; too little to tell what the sampler uses"
        gain, low, high = (alone[name] for name in ("judge_gain", *ends))
        right = f"a fresh one is right in {alone['judge_accuracy']:.1%}"
        context.remark(f"room for a discriminator: {gain:.2g} nats a sample ({low:.2g} to {high:.2g}; {right}){used}")
        return found

    def _judged(self, context: MetricContext) -> Verdict:
        sides = {"training": self._training(context, self._taught_by(context)), "held out": self._held_out(context)}
        lesson, exam = ((real, self._beside(context, real, name)) for name, real in sides.items())
        return self._figures(context, lesson, exam)

    @once_a_run
    def _floor(self, context: MetricContext) -> Verdict:
        """Training rows in the place of samples; the judge is asked about others than it learned from."""
        available = length_hint(context.training, 2 * self.training + self.samples)
        asked = min(self._count(context), available // 3)
        rows = self._training(context, min(2 * self._taught_by(context) + asked, available))
        half = (len(rows) - asked) // 2
        real, fake, others = (rows.take(part) for part in torch.arange(2 * half + asked).split([half, half, asked]))
        return self._figures(context, (real, fake), (self._held_out(context, asked), others))

    def _figures(self, context: MetricContext, lesson: tuple[Rows, Rows], exam: tuple[Rows, Rows]) -> Verdict:
        """What a fresh judge that learned from real rows and others says of those of an exam."""
        judge = self._fresh(context)
        with drawing(mix(context.seed, "judge"), context.device, judge):
            scale = self._teach(judge, *lesson)
            real, fake = (scale * logits_of(judge, side) for side in exam)
        low, high = interval(gains := gains_drawn_again(real, fake, context.seed))
        figures = {
            "judge_accuracy": accuracy(real, fake).item(),
            "judge_auc": auc(real, fake).item(),
            "judge_gain": gain(real, fake).item(),
            "judge_gain_low": low,
            "judge_gain_high": high,
        }
        return Verdict(figures, gains)

    def _teach(self, judge: nn.Module, real: Rows, fake: Rows) -> float:
        """Keeps the weights that are best on rows that were left out; returns what logits are to be scaled by."""
        aside = max(1, int(VALIDATION * min(len(real), len(fake))))
        validation = [side.take(slice(aside)) for side in (real, fake)]
        lesson = [side.take(slice(aside, None)) for side in (real, fake)]
        optimizer = torch.optim.AdamW(trainable(judge), lr=self.lr)
        orders = [_orders(len(side), self.steps * self.batch_size).split(self.batch_size) for side in lesson]
        best, kept = math.inf, copy.deepcopy(judge.state_dict())
        for step, batches in enumerate(zip(*orders, strict=True)):
            judge.train()
            with torch.enable_grad():
                rows = zip(lesson, batches, strict=True)
                loss = cross_entropy(*(asked(judge, side.take(batch.to(side.rows.device))) for side, batch in rows))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if (step + 1) % max(1, self.steps // LOOKS) == 0 or step + 1 == self.steps:
                judge.eval()
                found = cross_entropy(*(logits_of(judge, side) for side in validation)).item()
                if found < best:
                    best, kept = found, copy.deepcopy(judge.state_dict())
        judge.load_state_dict(kept)
        judge.eval()
        logits = [logits_of(judge, side) for side in validation]
        return min(SCALES.tolist(), key=lambda scale: cross_entropy(*(scale * it for it in logits)).item())

    def _fresh(self, context: MetricContext) -> nn.Module:
        if self.discriminator is not None:
            return copy.deepcopy(self.discriminator).to(context.device)
        with drawing(mix(context.seed, "weights of the judge"), context.device):
            return context.data.codec.discriminator().to(context.device)

    def _training(self, context: MetricContext, n: int) -> Rows:
        rows = context.training.batch(0, range(n), n, seed=context.seed, device=context.device)
        return Rows(context.data.codec.samples_of(rows), context.conditioned_on(rows))

    def _held_out(self, context: MetricContext, n: int | None = None) -> Rows:
        rows = held_out(context, self._count(context) if n is None else n)
        return Rows(context.data.codec.samples_of(rows), context.conditioned_on(rows))

    def _beside(self, context: MetricContext, real: Rows, purpose: str) -> Rows:
        """Samples on the condition of real rows, rounded as rows of data are: else that alone would tell them."""
        samples = context.samples_on(real.condition, len(real), mix(context.seed, "judge", purpose))
        codec = context.data.codec
        return Rows(codec.samples_of(codec.batch_of(samples)), real.condition)

    def _count(self, context: MetricContext) -> int:
        return min(self.samples, len(context.data.heldout))

    def _taught_by(self, context: MetricContext) -> int:
        return min(self.training, length_hint(context.training, self.training))


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """Of logits, both sides equally likely."""
    return (softplus(-real).mean() + softplus(fake).mean()) / 2


def _orders(rows: int, n: int) -> Tensor:
    """``n`` numbers of rows, int64: all rows in some order, again and again."""
    return torch.cat([torch.randperm(rows) for _ in range(math.ceil(n / rows))])[:n]
