"""What a sampler's own discriminator adds to the likelihood of held-out rows."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen.components.registry import name_of
from gangen.errors import UsageError
from gangen.metrics.context import FEW, MetricContext
from gangen.metrics.extraction import held_out
from gangen.metrics.figures import Figure
from gangen.metrics.log_ratios import Rows, effective, gain, gains_drawn_again, interval, logits_of
from gangen.noise import mix
from gangen.samplers import drawing

# So many rows show beforehand whether the discriminator can be asked.
TRIED = 8


class LikelihoodGain:
    """How much likelier held-out rows are under p_G(x) exp(s(x)) / Z than under the generator's p_G, in nats a row.

    s is the logit of the discriminator that the sampler chooses by, and p_G exp(s) / Z what it draws from as its
    candidates or proposals grow (Deng et al. 2020, section 4.2). ``likelihood_gain`` is E_real[s - log Z], with Z from
    samples that the generator alone makes on what held-out rows were made on. The discriminator has learned from
    neither, so this is a gain of likelihood as that of any model: no temperature and no other judge can flatter it, and
    one that is too sure of itself loses. A choice among K gains log K at most. ``likelihood_gain_low`` and
    ``likelihood_gain_high`` are the 95 % interval of a bootstrap over rows. Where a few samples stand for all that look
    real, it comes with a warning.

    Each label has a Z of its own, where there are as many samples of it as tell one. All that is made on anything else
    has one Z together, which makes the figure too small rather than too large.

    Up to ``rows`` held-out rows are asked about, and ``samples`` of the generator.
    """

    def __init__(self, *, rows: Annotated[int, Ge(FEW)] = 2000, samples: Annotated[int, Ge(FEW)] = 4000) -> None:
        self.rows = rows
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where the sampler does not choose, or by a discriminator that judges rows in parts or
        together, and where the data say not what samples would be.
        """
        discriminator = self._discriminator(context)
        if not hasattr(context.data.codec, "samples_of"):
            raise UsageError(f"{name_of(self)}: {type(context.data.codec).__name__} lacks samples_of")
        rows = self._held_out(context, min(TRIED, self._count(context)))
        with drawing(context.seed, context.device, discriminator):
            shape = discriminator(rows.rows, rows.condition).shape
        if shape != (len(rows),):
            raise UsageError(
                f"{name_of(self)} takes one logit for each row, and of {len(rows)} the discriminator gave shape "
                f"{list(shape)}; take one that judges whole samples one by one"
            )

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows of both sides there are."""
        return {"samples": self.samples, "held-out rows": self._count(context)}

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        discriminator = self._discriminator(context)
        real = self._held_out(context, self._count(context))
        again = torch.arange(self.samples, device=real.rows.device) % len(real)
        asked_for = real.take(again).condition
        alone = context.sampled(context.seed, {**context.settings, **getattr(context.sampler, "plain", {})})
        fake = Rows(alone.samples_on(asked_for, self.samples, mix(context.seed, "likelihood gain")), asked_for)
        with drawing(mix(context.seed, "likelihood gain"), context.device, discriminator):
            on_real, on_fake = (logits_of(discriminator, side) for side in (real, fake))
        groups = _groups(real, again.cpu())
        found = gain(on_real, on_fake, *groups).item()
        low, high = interval(gains_drawn_again(on_real, on_fake, context.seed, *groups))
        carrying = sum(effective(on_fake[groups[1] == group]) for group in groups[1].unique())
        if carrying < FEW:
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

    def _held_out(self, context: MetricContext, n: int) -> Rows:
        rows = held_out(context, n)
        return Rows(context.data.codec.samples_of(rows), context.conditioned_on(rows))

    def _count(self, context: MetricContext) -> int:
        return min(self.rows, self.samples, len(context.data.heldout))

    def _discriminator(self, context: MetricContext) -> nn.Module:
        by = getattr(context.sampler, "log_ratios_of", ())
        if not by:
            raise UsageError(
                f"{name_of(self)} wants a sampler that chooses by a discriminator, and this one does not; "
                "name another sampler, or take the metric out"
            )
        return context.players.averaged(by[0])


def _groups(real: Rows, again: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows have a Z together, int64 ``[n]``, and the same of samples, the rows that they were made on ``again``.

    A label with fewer than ``FEW`` samples shares that of all such, as its own would be too small for chance alone.
    """
    label = torch.zeros(len(real), dtype=torch.int64)
    if real.condition.keys() == {"label"}:
        label = real.condition["label"].cpu()
    rare = label[again].bincount(minlength=int(label.max()) + 1) < FEW
    groups = torch.where(rare[label], -1, label).unique(return_inverse=True)[1]
    return groups, groups[again]
