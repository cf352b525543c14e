"""A generator corrected by its discriminator: images are drawn until one is accepted."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Batch, ChoosingSampler, Players, noise

Proposals = Annotated[int, Interval(ge=1, le=10_000)]

# Images of the burn-in are drawn so many at once.
AT_ONCE = 50
# Keeps the odds of the image with the largest ratio finite.
EPSILON = 1e-6


class Rejection(ChoosingSampler):
    """Discriminator rejection sampling (Azadi et al. 2019, section 3).

    With s the logit of the discriminator, an image of the generator is accepted with probability sigmoid(F):
    F = s - M - log(1 - exp(s - M - epsilon)) - gamma. Where gamma is 0 that is the ratio of densities exp(s) over its
    largest value exp(M), and what is accepted has the density p_G(x) exp(s(x)).

    M is the largest logit of ``burn_in`` images of the generator, evenly of all labels, drawn with the settings of
    sampling, but for those that are tensors, a row for each sample; a larger one counts as M. Of their F the
    ``percentile`` is gamma: the lower, the more are accepted, and the nearer samples stay to the generator's; null is a
    gamma of 0, exact, with few accepted where the discriminator tells well.

    Of each image up to ``proposals`` are drawn, a setting of sampling too; where none is accepted, the one with the
    largest logit is taken. With 1 the generator's own samples come out.

    Logits are taken as they are. The paper calibrates them beforehand by teaching the discriminator on, with the
    generator at rest, as a last phase of a recipe does, for as long as held-out images are told apart better; one that
    has learned its training images by heart rejects too much. One that sees augmented images judges plain ones here.
    """

    plain: ClassVar = {"proposals": 1}
    conditions = ("label",)  # of which the burn-in can be drawn evenly

    def __init__(
        self,
        players: Players,
        *,
        proposals: Proposals = 100,
        percentile: Annotated[float, Interval(ge=0, lt=100)] | None = 80.0,
        burn_in: Annotated[int, Ge(1)] = 1000,
    ) -> None:
        super().__init__(players)
        self.proposals = proposals
        self.percentile = percentile
        self.burn_in = burn_in
        self._scales: tuple[Any, tuple[float, float]] | None = None

    def sample(
        self, n: int, condition: Batch | None = None, *, proposals: Proposals | None = None, **settings: Any
    ) -> Tensor:
        """``n`` images as the generator makes them.

        Up to so many ``proposals`` are drawn of each, null for as many as the recipe says.
        """
        most = self.proposals if proposals is None else proposals
        if most == 1:
            return self.generator.sample(n, condition, **settings)
        bound, gamma = self.scales({name: it for name, it in settings.items() if not isinstance(it, Tensor)})
        seeds, waiting = noise.seeds(n), torch.arange(n)
        best = torch.full((n,), -torch.inf, dtype=torch.float64)
        chosen: Tensor | None = None
        for number in range(most):
            rows = waiting.tolist()
            images, logits, uniforms = self.propose(rows, [(seeds[row], number) for row in rows], condition, settings)
            accepted = uniforms < torch.sigmoid(acceptance(logits, bound) - gamma)
            better = accepted | (logits > best[waiting])
            chosen = images.clone() if chosen is None else chosen
            where = better.to(images.device)
            chosen[waiting.to(images.device)[where]] = images[where]
            best[waiting[better]] = logits[better]
            waiting = waiting[~accepted]
            if not len(waiting):
                break
        return chosen

    def scales(self, settings: Mapping[str, Any]) -> tuple[float, float]:
        """M and gamma of the networks as they are, with ``settings`` of the generator's; drawn again once either is
        another.
        """
        networks = (self.generator, self.discriminator)
        state = settings, [it.double().sum().item() for net in networks for it in (*net.parameters(), *net.buffers())]
        kept = self._scales
        if kept is None or kept[0] != state:
            logits = self._burnt_in(settings)
            bound = logits.max().item()
            gamma = 0.0
            if self.percentile is not None:
                gamma = acceptance(logits, bound).quantile(self.percentile / 100).item()
            # By a name of this call's own: another thread may have other settings.
            kept = self._scales = state, (bound, gamma)
        return kept[1]

    def _burnt_in(self, settings: Mapping[str, Any]) -> Tensor:
        """Logits of images of the generator, float64 ``[burn_in]``, the same for any seed of sampling."""
        labels = len(getattr(self.generator, "labels", ()) or getattr(self.discriminator, "labels", ()))
        condition = None
        if labels:
            device = next(self.generator.parameters()).device
            condition = {"label": torch.arange(self.burn_in, device=device) % labels}
        parts = [part.tolist() for part in torch.arange(self.burn_in).split(AT_ONCE)]
        return torch.cat([self.propose(part, [(0, row) for row in part], condition, settings)[1] for part in parts])


def acceptance(logits: Tensor, bound: float) -> Tensor:
    """F of Azadi et al. (2019) without gamma: the logit of the probability that a sample is accepted."""
    below = (logits - bound).clamp(max=0)
    return below - torch.log1p(-torch.exp(below - EPSILON))
