"""Texts that the discriminator chooses: their law, their noise, and the settings of the generator."""

import itertools

import pytest
import torch
from torch import nn

from gangen import Model, NonSaturating, Players, UsageError, noise
from gangen.losses import Hinge
from gangen.samplers import drawing
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.objectives.gumbel import Gumbel
from gangen_text.samplers import residual
from gangen_text.samplers.residual import Residual
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=4, max_length=2, start=0, labels=("a", "b"))
TEXTS = torch.tensor(list(itertools.product(range(4), repeat=2)))
CPU = torch.device("cpu")


class Table(nn.Module):
    """A logit for each label and each text of two tokens."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(1.5 * torch.randn(2, 4, 4))

    def forward(self, tokens, condition):
        return self.logits[condition["label"], tokens[:, 0], tokens[:, 1]]


class Numbers:
    """A codec that shows tokens, and whose prompts are labels."""

    def encode(self, prompt, n):
        return {"label": torch.full((n,), SPEC.labels.index(prompt))}

    def decode(self, tokens):
        return tokens.tolist()


@pytest.fixture
def players():
    torch.manual_seed(3)
    return Players({"generator": LSTMGenerator(SPEC, init_std=1.0), "discriminator": Table()})


@pytest.fixture
def model(players):
    return Model(Residual(players), dict(players), Numbers(), "it", CPU)


def law(players, label: int, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """p_LM(x) of all texts, and p_LM(x) exp(s(x)) / Z, by enumeration."""
    condition = {"label": torch.full((len(TEXTS),), label)}
    with torch.no_grad():
        said = players.generator.log_prob(TEXTS, condition, temperature=temperature).sum(1).double()
        return said.exp(), (said + players.discriminator(TEXTS, condition)).softmax(0)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_of_many_candidates_texts_have_the_law_of_the_residual_model(players, temperature):
    label = torch.arange(1200) % 2
    with drawing(0, CPU, *players.values()):
        drawn = Residual(players, candidates=80).sample(1200, {"label": label}, temperature=temperature)
    for which in (0, 1):
        found = torch.bincount(drawn[label == which] @ torch.tensor([4, 1]), minlength=16) / 600
        plain, expected = law(players, which, temperature)
        # Four standard errors, and what 80 candidates are off.
        allowed = 4 * (expected * (1 - expected) / 600).sqrt() + 0.005
        assert ((found - expected).abs() < allowed).all()
        assert ((found - plain).abs() > 2 * allowed).any()


def test_one_candidate_is_the_generators_own_sample_to_the_bit(players):
    condition, sampler = {"label": torch.tensor([0, 1, 1])}, Residual(players)
    with drawing(1, CPU, *players.values()):
        own = players.generator.sample(3, condition, top_k=2)
    with drawing(1, CPU, *players.values()):
        assert torch.equal(sampler.sample(3, condition, top_k=2, **sampler.plain), own)


def test_a_sample_is_the_same_for_any_number_of_them_and_in_any_parts(model, monkeypatch):
    many = model.sample("b", 40, seed=5, temperature=2.0, candidates=7)
    assert model.sample(["b", "a"], 3, seed=5, temperature=2.0, candidates=7)[:3] == many[:3]
    monkeypatch.setattr(residual, "AT_ONCE", 2)
    assert model.sample("b", 1, seed=5, temperature=2.0, candidates=7) == many[:1]
    assert model.sample("b", 40, seed=5, temperature=2.0, candidates=1) != many


def test_a_setting_is_shown_as_what_the_recipe_says(model):
    assert model.settings["candidates"] == model.sampler.candidates > 1


def test_memory_does_not_grow_with_candidates(players, monkeypatch):
    asked, sample = [], players.generator.sample
    monkeypatch.setattr(players.generator, "sample", lambda n, *more, **settings: asked.append(n) or sample(n, *more))
    with noise.shared(0):
        Residual(players).sample(100, {"label": torch.zeros(100, dtype=torch.long)}, candidates=12)
        Residual(players).sample(600, {"label": torch.zeros(600, dtype=torch.long)}, candidates=2)
    assert asked == [500, 500, 200, 600, 600]


@pytest.mark.parametrize(("candidates", "bound"), [(0, "at least 1"), (10**9, "at most 10000")])
def test_numbers_of_candidates_have_bounds(model, candidates, bound):
    with pytest.raises(UsageError, match=f"'candidates' must be {bound}, got {candidates}"):
        model.sample("a", candidates=candidates)


def test_rows_of_any_shape_are_chosen_among(monkeypatch):
    class Pictures(nn.Module):
        def sample(self, n, condition=None):
            return noise.normal(n, 3, 4, 4)

    class Sum(nn.Module):
        def forward(self, rows, condition=None):
            return 50 * rows.flatten(1).sum(1)

    sampler = Residual(Players({"generator": Pictures(), "discriminator": Sum()}))
    drawn = []
    for at_once in (4, 4 * 8):
        monkeypatch.setattr(residual, "AT_ONCE", at_once)
        with drawing(1, CPU):
            drawn.append(sampler.sample(4, None, candidates=8))
    assert torch.equal(*drawn) and drawn[0].shape == (4, 3, 4, 4)


def test_soft_tokens_teach_no_log_ratio():
    assert Gumbel(SPEC, loss=NonSaturating(), straight_through=True).log_ratio
    assert not Gumbel(SPEC, loss=NonSaturating()).log_ratio
    assert not Gumbel(SPEC, loss=Hinge(), straight_through=True).log_ratio
