"""Samplers that choose among samples have their generator's settings and verbs, and each row noise of its own."""

import pytest
import torch
from torch import nn

from gangen import ChoosingSampler, Players, UsageError, noise
from gangen.samplers import defaults_of, settings_of


class Drawing(nn.Module):
    def sample(self, n, condition=None, *, scale: float = 1.0, start: torch.Tensor | None = None):
        drawn = noise.normal(n, 1) + noise.normal(n, 2)
        return scale * drawn + (0 if start is None else start) + condition["label"].unsqueeze(1)

    def interpolate(self, rows, n, condition=None):
        return "ways"


class Judging(nn.Module):
    def forward(self, rows, condition=None):
        return rows.sum(1) - condition["label"]


class First(ChoosingSampler):
    def sample(self, n, condition=None, *, more: int = 0, **settings):
        return self.propose(range(n), [(7, row) for row in range(n)], condition, settings)


def sampler(discriminator=None) -> First:
    return First(Players({"generator": Drawing(), "discriminator": discriminator or Judging()}))


def test_it_has_its_generators_settings_and_verbs():
    it = sampler()
    assert settings_of(it.sample) == {"more": int, "scale": float, "start": torch.Tensor | None}
    assert defaults_of(it.sample) == {"more": 0, "scale": 1.0, "start": None}
    assert it.interpolate(1, 2) == "ways" and not hasattr(it, "reconstruct")


def test_candidates_come_by_their_own_seeds_on_their_rows_whatever_stands_beside_them():
    condition, start = {"label": torch.tensor([0, 100])}, torch.tensor([[1000.0], [2000.0]])
    seeds = [(5, 0), (6, 0), (6, 1)]
    samples, logits, uniforms = sampler().propose([0, 1, 1], seeds, condition, {"start": start, "scale": 2.0})
    assert (samples.mean(1) / 100).round().tolist() == [10, 21, 21]
    assert (
        torch.allclose(logits, samples.sum(1).double() - torch.tensor([0, 100, 100])) and logits.dtype == torch.double
    )
    again = sampler().propose([1], seeds[2:], condition, {"start": start, "scale": 2.0})
    assert torch.equal(again[0][0], samples[2]) and again[2] == uniforms[2] and len(uniforms.unique()) == 3


def test_a_discriminator_with_other_than_one_logit_a_row_is_refused():
    class Patches(nn.Module):
        def forward(self, rows, condition=None):
            return rows

    with pytest.raises(UsageError, match=r"of 2 the discriminator gave shape \[2, 2\]; take one that judges whole"):
        sampler(Patches()).sample(2, {"label": torch.zeros(2)})
