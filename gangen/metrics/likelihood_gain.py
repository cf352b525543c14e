"""What a sampler's own discriminator adds to the likelihood of held-out rows."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen.components.registry import name_of
from gangen.contracts import Batch
from gangen.errors import UsageError
from gangen.losses import at_least_float32
from gangen.metrics.context import FEW, MetricContext
from gangen.metrics.extraction import held_out
from gangen.metrics.figures import Figure
from gangen.metrics.log_ratios import effective, gain, gains_drawn_again, interval
from gangen.noise import mix
from gangen.samplers import drawing

# Rows that are judged in one go.
CHUNK = 250


class LikelihoodGain:
    """How much likelier held-out rows are under p_G(x) exp(s(x)) / Z than under the generator's p_G, in nats a row.

    s is the logit of the discriminator that the sampler chooses by, and p_G exp(s) / Z what it draws from as its
    candidates or proposals grow (Deng et al. 2020, section 4.2). ``likelihood_gain`` is E_real[s] - log Z, with Z from
    the generator's own samples, on what held-out rows were made on. The discriminator has learned from neither, so this
    is a gain of likelihood as that of any model: no temperature and no other judge can flatter it, and one that is too
    sure of itself loses. A choice among K gains log K at most. ``likelihood_gain_low`` and ``likelihood_gain_high`` are
    the 95 % interval of a bootstrap over rows. Where a few samples stand for all that look real, it comes with a
    warning.

    Up to ``rows`` held-out rows are asked about, and ``samples`` of the generator.
    """

    def __init__(self, *, rows: Annotated[int, Ge(FEW)] = 2000, samples: Annotated[int, Ge(FEW)] = 4000) -> None:
        self.rows = rows
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where the sampler does not choose, or the data say not what samples would be."""
        self._discriminator(context)
        if not hasattr(context.data.codec, "samples_of"):
            raise UsageError(f"{name_of(self)}: {type(context.data.codec).__name__} lacks samples_of")

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows of both sides there are."""
        return {"samples": self.samples, "held-out rows": self._count(context)}

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        discriminator, codec = self._discriminator(context), context.data.codec
        sampler: Any = context.sampler
        alone = context.sampled(context.seed, {**context.settings, **sampler.plain})
        rows = held_out(context, self._count(context))
        sides = (
            (codec.samples_of(rows), context.conditioned_on(rows)),
            (alone.samples(self.samples), alone.conditions(self.samples)),
        )
        with drawing(mix(context.seed, "likelihood gain"), context.device, discriminator):
            real, fake = (_logits(discriminator, *side) for side in sides)
        found, (low, high) = gain(real, fake).item(), interval(gains_drawn_again(real, fake, context.seed))
        if (carrying := effective(fake)) < FEW:
            context.warn(
                f"{name_of(self)}: {carrying:.0f} of {self.samples:,} samples carry the figure, which is rough, and "
                "likely too large; raise samples"
            )
        some = f"{found:.2g} nats a row ({low:.2g} to {high:.2g}) to"
        added = some if low * high > 0 else f"nothing that could be told from chance ({low:.2g} to {high:.2g} nats) to"
        context.remark(f"the discriminator adds {added} the log-likelihood of held-out rows")
        return {
            "likelihood_gain": Figure(found, good="high"),
            "likelihood_gain_low": Figure(low),
            "likelihood_gain_high": Figure(high),
        }

    def _count(self, context: MetricContext) -> int:
        return min(self.rows, len(context.data.heldout))

    def _discriminator(self, context: MetricContext) -> nn.Module:
        by = getattr(context.sampler, "log_ratios_of", ())
        if not by:
            raise UsageError(
                f"{name_of(self)} wants a sampler that chooses by a discriminator, and this one does not; "
                "name one, as sampler: text/residual, or take the metric out"
            )
        return context.players.averaged(by[0])


def _logits(discriminator: nn.Module, samples: Tensor, condition: Batch) -> Tensor:
    """Float64 ``[n]`` on the CPU."""
    parts = []
    for at in range(0, len(samples), CHUNK):
        here = {name: column[at : at + CHUNK] for name, column in condition.items()}
        parts.append(at_least_float32(discriminator(samples[at : at + CHUNK], here)).double().cpu())
    return torch.cat(parts)
