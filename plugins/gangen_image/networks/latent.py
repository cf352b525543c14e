"""Latents: the noise that generators start from, and what all generators that start from one have in common."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import UsageError, label_of, noise
from gangen_image.networks.conditioning import chosen
from gangen_image.spec import ImageSpec, PointSpec

Distribution = Literal["normal", "uniform", "hypersphere"]


@dataclass(frozen=True)
class Latent:
    """A distribution of vectors of ``dim`` numbers.

    "normal": independent N(0, 1). "uniform": independent on [-1, 1) (Radford et al., 2016). "hypersphere": uniform on
    the sphere of radius sqrt(dim), where vectors of N(0, 1) nearly are anyway (Karras et al., 2018, appendix A.1).
    """

    distribution: Distribution
    dim: int

    def draw(self, n: int, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Tensor:
        """``n`` latents through ``gangen.noise``, float ``[n, dim]``."""
        if self.distribution == "uniform":
            return noise.uniform(n, self.dim, device=device, dtype=dtype) * 2 - 1
        drawn = noise.normal(n, self.dim, device=device, dtype=dtype)
        return drawn if self.distribution == "normal" else normalized(drawn)

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        """``latent`` with every coordinate moved into the central ``truncation`` of its probability; 1 changes nothing.

        The truncation trick (Brock et al., 2019, section 3.1): less variety for more quality. A normal coordinate
        then has the truncated normal distribution; 0.954 is the paper's threshold of 2. The map is monotone, so
        that one latent gives more and more typical images as truncation falls.

        Raises:
            UsageError: truncation outside (0, 1], or below 1 on the hypersphere, which has no centre.
        """
        if not 0 < truncation <= 1:
            raise UsageError(f"truncation must be above 0 and at most 1, got {truncation}")
        if truncation == 1:
            return latent
        if self.distribution == "hypersphere":
            raise UsageError(
                "latents on a hypersphere cannot be truncated; train with latent: normal, or sample with truncation 1"
            )
        if self.distribution == "uniform":
            return latent * truncation
        return math.sqrt(2) * torch.erfinv(truncation * torch.erf(latent / math.sqrt(2)))

    def between(self, start: Tensor, end: Tensor, fraction: float) -> Tensor:
        """The latents ``fraction`` of the way from ``start`` to ``end``, float ``[n, dim]`` all.

        Straight for uniform latents, else along the great circle (White, 2016): the middle of the straight line
        between two normal latents is closer to the origin than any latent that a generator has seen.
        """
        if self.distribution == "uniform":
            return start.lerp(end, fraction)
        cosine = nn.functional.cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = cosine.acos().unsqueeze(1)
        from_start, from_end = ((1 - fraction) * angle).sin() / angle.sin(), (fraction * angle).sin() / angle.sin()
        return from_start * start + from_end * end


def normalized(vectors: Tensor) -> Tensor:
    """``vectors``, float ``[n, d]``, at length sqrt(d)."""
    return vectors * (vectors.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class LatentGenerator(nn.Module):
    """A network from latents, and labels where there are any, to samples in [-1, 1].

    A subclass defines ``forward``, from latents float ``[n, latent_dim]`` and labels int64 ``[n]``, None where they
    play no role, to samples, and ends its constructor with ``finish``. Its first layer takes what ``conditioned``
    gives, ``input_dim`` numbers a row: the latent, and with ``condition`` "concat" then an embedding of the label of
    the same size (Mirza and Osindero, 2014); None is ``default_condition`` where the data have labels. ``classes`` is
    0 where labels play no role. ``spectral_norm`` divides weights by their largest singular value.

    ``latent_dim`` is the size of a latent. ``latent`` is the distribution of its numbers, or uniform over
    directions with "hypersphere".
    """

    default_condition = "concat"

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        latent_dim: Annotated[int, Ge(1)] = 128,
        latent: Literal["normal", "uniform", "hypersphere"] = "normal",
        condition: Literal["none", "concat"] | None = None,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.spectral_norm = spectral_norm
        self.prior = Latent(latent, latent_dim)
        self.condition = chosen(condition, self.default_condition, spec.labels)
        self.labels = () if self.condition == "none" else spec.labels
        self.classes = len(self.labels)
        self.label_embedding = nn.Embedding(self.classes, latent_dim) if self.condition == "concat" else None
        self.input_dim = latent_dim if self.label_embedding is None else 2 * latent_dim

    def conditioned(self, latent: Tensor, label: Tensor | None) -> Tensor:
        """What the first layer takes, float ``[n, input_dim]``, of latents and labels as in ``forward``."""
        return latent if self.label_embedding is None else torch.cat([latent, self.label_embedding(label)], dim=1)

    def latent(self, n: int) -> Tensor:
        """``n`` latents where and as the network's parameters are, float ``[n, latent_dim]``."""
        parameter = next(self.parameters())
        return self.prior.draw(n, device=parameter.device, dtype=parameter.dtype)

    def sample(
        self,
        n: int,
        condition: Mapping[str, Tensor] | None = None,
        *,
        truncation: Annotated[float, Interval(gt=0, le=1)] = 1.0,
        latent: Tensor | None = None,
    ) -> Tensor:
        """``n`` samples with gradient.

        ``truncation`` below 1 draws latents nearer to their mean, see ``Latent.truncate``. ``latent`` are latents to
        start from in the place of fresh ones.
        """
        latent = self.latent(n) if latent is None else latent
        return self(self.prior.truncate(latent, truncation), label_of(condition, self.labels))

    def interpolate(
        self, rows: int, n: int, condition: Mapping[str, Tensor] | None = None, *, truncation: float = 1.0
    ) -> Tensor:
        """``rows`` ways of ``n`` samples each, one way after the other, on each of which the label stays what it is.

        Way r goes from latent 2r to latent 2r + 1 of those that ``sample(2 * rows)`` would draw, see
        ``Latent.between``. What else the network draws on a way is the same at every step of it, so that only the
        latent changes.
        """
        start, end = self.latent(2 * rows).unflatten(0, (rows, 2)).unbind(1)
        seeds = noise.seeds(rows)
        steps = []
        for step in range(n):
            latent = self.prior.between(start, end, step / (n - 1))
            with noise.shared(seeds[0]), noise.by_row(seeds):
                steps.append(self.sample(rows, condition, truncation=truncation, latent=latent))
        return torch.stack(steps, dim=1).flatten(0, 1)
