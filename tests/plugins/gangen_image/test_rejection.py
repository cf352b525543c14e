"""Discriminator rejection sampling, on a generator of eight points whose law is known."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from gangen import Model, Players, UsageError, noise
from gangen.samplers import drawing
from gangen_image.samplers.rejection import EPSILON, Rejection

CHANCES = torch.tensor([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05], dtype=torch.float64)
LOGITS = [0.0, -1.0, 0.5, 1.0, -2.0, 1.25, -0.5, 0.25]
CPU = torch.device("cpu")


class Points(nn.Module):
    """0 to 7 by CHANCES, or the one with the least logit alone."""

    def sample(self, n, condition=None, *, least: bool = False):
        if least:
            return torch.full((n,), float(LOGITS.index(min(LOGITS))))
        return torch.searchsorted(CHANCES.cumsum(0), noise.uniform(n, dtype=torch.float64)).clamp(max=7).float()


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(LOGITS))

    def forward(self, points, condition=None):
        return self.logits[points.long()]


class Numbers:
    def encode(self, prompt, n):
        return {}

    def decode(self, points):
        return points.tolist()


@pytest.fixture
def players():
    return Players({"generator": Points(), "discriminator": Table()})


def accepted(gamma: float) -> torch.Tensor:
    """The probability that each point is accepted, in plain Python."""
    below = [logit - max(LOGITS) for logit in LOGITS]
    odds = [math.exp(it - math.log(1 - math.exp(it - EPSILON)) - gamma) for it in below]
    return torch.tensor([it / (1 + it) for it in odds], dtype=torch.float64)


@pytest.mark.parametrize("percentile", [None, 20.0, 80.0])
def test_what_is_accepted_has_the_law_of_the_paper(players, percentile):
    n, sampler = 5_000, Rejection(players, percentile=percentile, burn_in=400)
    with drawing(0, CPU, *players.values()):
        found = torch.bincount(sampler.sample(n).long(), minlength=8) / n
    gamma = sampler.scales({})[1]
    expected = CHANCES * accepted(gamma)
    expected /= expected.sum()
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / n).sqrt()).all()
    assert ((found - CHANCES).abs() > 0.05).any()
    if percentile is None:
        assert gamma == 0
        assert torch.allclose(expected, (CHANCES.log() + torch.tensor(LOGITS)).softmax(0), atol=1e-5)


def test_the_percentile_is_the_place_where_half_are_accepted(players):
    gamma = Rejection(players, percentile=40.0).scales({})[1]
    surely = CHANCES[accepted(gamma) > 0.5 - 1e-6].sum()
    assert 0.6 <= surely < 0.9 and (accepted(gamma) - 0.5).abs().min() < 1e-6


def test_one_proposal_is_the_generators_own_sample(players):
    sampler = Rejection(players)
    with drawing(3, CPU, *players.values()):
        own = players.generator.sample(50)
    with drawing(3, CPU, *players.values()):
        assert torch.equal(sampler.sample(50, **sampler.plain), own)


def test_a_row_that_none_accepts_takes_the_largest_logit(players, monkeypatch):
    sampler = Rejection(players)
    monkeypatch.setattr(sampler, "scales", lambda settings: (1000.0, 0.0))  # far above all there are
    with drawing(3, CPU, *players.values()):
        found = sampler.sample(200, proposals=4)
    with drawing(3, CPU, *players.values()):
        seeds = noise.seeds(200)
        drawn = [sampler.propose(range(200), [(it, number) for it in seeds], None, {})[0] for number in range(4)]
    largest = torch.tensor(LOGITS)[torch.stack(drawn).long()].amax(0)
    assert torch.equal(torch.tensor(LOGITS)[found.long()], largest)


def test_a_sample_is_the_same_for_any_number_of_them(players):
    model = Model(Rejection(players), dict(players), Numbers(), "it", CPU)
    many = model.sample(None, 30, seed=4)
    assert model.sample(None, 5, seed=4) == many[:5] and model.sample(None, 30, seed=4, proposals=1) != many


def test_the_largest_logit_is_looked_for_again_once_weights_have_changed(players):
    sampler = Rejection(players)
    before = sampler.scales({})
    assert before[0] == 1.25 and sampler.scales({}) is before
    players.discriminator.logits.data.add_(1)
    assert sampler.scales({})[0] == 2.25


def test_the_largest_logit_is_that_of_what_the_settings_make(players):
    sampler = Rejection(players, burn_in=400)
    assert sampler.scales({"least": True})[0] == min(LOGITS)
    assert sampler.scales({})[0] == max(LOGITS)


def test_threads_with_settings_of_their_own_have_scales_of_their_own(players):
    meeting = threading.Barrier(2, timeout=60)

    class Meeting(Rejection):
        @property
        def _scales(self):
            return vars(self).get("kept")

        @_scales.setter
        def _scales(self, kept):
            vars(self)["kept"] = kept
            if kept:
                meeting.wait()

    sampler = Meeting(players, burn_in=400)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(sampler.scales, [{"least": True}, {}]))
    assert [bound for bound, _ in found] == [min(LOGITS), max(LOGITS)]


def test_no_proposals_are_refused(players):
    model = Model(Rejection(players), dict(players), Numbers(), "it", CPU)
    with pytest.raises(UsageError, match="'proposals' must be at least 1, got 0"):
        model.sample(proposals=0)
