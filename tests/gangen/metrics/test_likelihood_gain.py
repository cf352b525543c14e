"""What a discriminator adds to likelihood, on normal distributions where that can be said in a formula."""

import math
import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.errors import UsageError
from gangen.metrics.context import MetricContext, evaluate
from gangen.metrics.likelihood_gain import LikelihoodGain
from gangen.metrics.log_ratios import effective, gain
from gangen.networks import Players
from gangen.samplers import ChoosingSampler, PlayerSampler
from gangen.splits import TensorSplit


class Shifted(nn.Module):
    """N(label + 1, 1), where the data are N(label, 1)."""

    def sample(self, n, condition=None, *, spread: float = 1.0):
        return noise.normal(n, 1) * spread + 1 + condition["label"].unsqueeze(1)


class Ratio(nn.Module):
    """``sure`` times the log-ratio of the two, 1/2 - (x - label)."""

    def __init__(self, sure):
        super().__init__()
        self.sure = sure

    def forward(self, rows, condition):
        return self.sure * (0.5 - (rows.squeeze(1) - condition["label"]))


class Choosing(ChoosingSampler):
    """Never draws here but alone."""

    plain = {"candidates": 1}  # noqa: RUF012

    def sample(self, n, condition=None, *, candidates: int = 16, **settings):
        assert candidates == 1
        return self.generator.sample(n, condition, **settings)


def context_of(sure, sampler=Choosing, held_out=4000):
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(5, (held_out,), generator=generator)
    heldout = TensorSplit(x=torch.randn(held_out, 1, generator=generator) + label.unsqueeze(1), label=label)
    sheet = [SimpleNamespace(condition={"label": torch.zeros(1, dtype=torch.int64)})]
    codec = SimpleNamespace(samples_of=lambda batch: batch["x"])
    data = SimpleNamespace(train=heldout, heldout=heldout, codec=codec, sheet=lambda: sheet)
    players = Players({"generator": Shifted(), "discriminator": Ratio(sure)})
    return MetricContext(players, data, sampler=sampler(players), device=torch.device("cpu"), seed=3)


def gained(context, **options):
    metric = LikelihoodGain(**{"rows": 4000, "samples": 8000} | options)
    metric.check(context)
    return metric(context)


@pytest.mark.parametrize("sure", [0.0, 0.5, 1.0, 2.0])
def test_the_gain_is_that_of_the_formula_and_one_that_is_too_sure_loses(sure):
    # E_real[s] = a / 2 and log Z = a / 2 - a + a^2 / 2, for s = a (1/2 - x) and samples of N(1, 1).
    context = context_of(sure)
    figures = gained(context)
    found, low, high = (figures[f"likelihood_gain{end}"].value for end in ("", "_low", "_high"))
    assert found == pytest.approx(sure - sure**2 / 2, abs=0.06 * sure**2 + 1e-12)
    assert low <= found <= high
    assert high - low < 0.3 * sure + 1e-9
    (said,) = context.remarks
    if found > 0.1:
        assert low < found < high
        assert said == (
            f"the discriminator adds {found:.2g} nats a row ({low:.2g} to {high:.2g}) to the log-likelihood of "
            "held-out rows"
        )
    else:
        assert said.startswith("the discriminator adds nothing that could be told from chance (")


def test_what_a_label_alone_says_changes_no_choice_and_gains_nothing():
    context = context_of(0.0)
    context.players["discriminator"].forward = lambda rows, condition: 4.0 * condition["label"] - 2
    figures = gained(context)
    assert [figures[f"likelihood_gain{end}"].value for end in ("", "_low", "_high")] == pytest.approx([0, 0, 0])


def test_labels_with_few_samples_are_weighted_together():
    # Of 200 rows on 5 labels 160 samples each are enough, and of as many samples as rows 40 are not.
    one, together = (gained(context_of(1.0, held_out=200), samples=n)["likelihood_gain"].value for n in (800, 200))
    assert one == pytest.approx(0.5, abs=0.25)
    assert together == pytest.approx(0.5, abs=0.25)


def test_samples_are_weighted_within_their_groups_by_the_formula():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(6, generator=generator).double(), torch.randn(9, generator=generator).double() * 300
    of_real, of_fake = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([2, 1, 0, 1, 2, 2, 0, 0, 1])
    by_hand = 0.0
    for value, group in zip(real, of_real, strict=True):
        here = fake[of_fake == group]
        by_hand += (value - (here.logsumexp(0) - math.log(len(here)))).item() / 6
    assert gain(real, fake, of_real, of_fake).item() == pytest.approx(by_hand)
    alone = gain(real, fake, torch.zeros(6, dtype=torch.int64), torch.zeros(9, dtype=torch.int64))
    assert alone.item() == pytest.approx(gain(real, fake).item())


def test_settings_are_those_of_the_generator_that_is_corrected():
    # Samples of N(1, 1/4): log Z is then 1/2 - 1 + 1/8, and E_real[s] is 1/2.
    figures = gained(context_of(1.0).sampled(3, {"spread": 0.5}))
    assert figures["likelihood_gain"].value == pytest.approx(0.875, abs=0.05)


def test_where_few_samples_carry_the_figure_it_comes_with_a_warning():
    context = context_of(1.0)
    gained(context)
    assert not context.warnings
    sure = context_of(8.0)
    gained(sure)
    (warning,) = sure.warnings
    assert 1 <= int(re.search(r"(\d+) of 8,000 samples carry the figure", warning)[1]) < 50


def test_how_many_samples_carry_a_mean_is_between_one_and_all_of_them():
    assert effective(torch.zeros(7, dtype=torch.float64)) == pytest.approx(7)
    assert effective(torch.tensor([900.0, 0, 0], dtype=torch.float64)) == pytest.approx(1)
    weights = torch.tensor([1.0, 2, 3], dtype=torch.float64)
    assert effective(weights.log() - 50) == pytest.approx(36 / 14)


def test_of_few_rows_a_figure_is_said_to_be_coarse():
    context = context_of(1.0, held_out=49)
    assert evaluate([LikelihoodGain()], context)["likelihood_gain"].value == pytest.approx(0.5, abs=0.6)
    (warning,) = context.warnings
    assert " is coarse: it looks at 49 held-out rows" in warning


def test_a_discriminator_with_several_logits_for_a_row_is_refused_before_training():
    context = context_of(1.0)
    context.players["discriminator"].forward = lambda rows, condition: rows.expand(-1, 2)
    message = r"takes one logit for each row, and of 8 the discriminator gave shape \[8, 2\]"
    with pytest.raises(UsageError, match=message):
        LikelihoodGain().check(context)


def test_a_sampler_may_have_no_settings_with_which_it_draws_plainly():
    context = context_of(1.0)
    wanted = gained(context)
    sampler = SimpleNamespace(networks=("generator",), log_ratios_of=("discriminator",))
    sampler.sample = context.players["generator"].sample
    assert (
        gained(MetricContext(context.players, context.data, sampler=sampler, device=context.device, seed=3)) == wanted
    )


def test_a_sampler_that_does_not_choose_is_refused_before_training():
    with pytest.raises(UsageError, match="wants a sampler that chooses by a discriminator"):
        LikelihoodGain().check(context_of(1.0, PlayerSampler))
