"""The judge, on normal distributions whose divergence is known."""

import math
import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.errors import UsageError
from gangen.metrics.context import MetricContext
from gangen.metrics.judge import HeldOutJudge
from gangen.metrics.log_ratios import accuracy, auc, gain
from gangen.networks import Players
from gangen.splits import TensorSplit

CPU = torch.device("cpu")


class Linear(nn.Module):
    """What tells two normal distributions of one variance apart."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, rows, condition=None):
        return self.layer(rows).squeeze(1)


class Codec:
    def samples_of(self, batch):
        return batch["x"]

    def batch_of(self, samples):
        return {"x": samples}

    def discriminator(self):
        return Linear()


class Shifted(nn.Module):
    """N(mean, 1), or what it was asked for, as ``follow`` says."""

    def __init__(self, mean=0.0, follow=False):
        super().__init__()
        self.mean, self.follow = mean, follow

    def sample(self, n, condition=None, *, shift: float = 1.0):
        drawn = noise.normal(n, 1) + shift * self.mean
        return drawn + 4 * condition["label"].unsqueeze(1) if self.follow else drawn


class Chosen:
    """A sampler that takes away what of the shift it is told to take."""

    networks = ("generator",)

    def __init__(self, players):
        self.plain = {"shift": 1.0}
        self.generator = players["generator"]

    def sample(self, n, condition=None, *, shift: float = 0.5):
        return self.generator.sample(n, condition, shift=shift)


def rows(n, seed, labelled=0):
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(n, generator=generator) < 0.9).long() if labelled else torch.zeros(n, dtype=torch.int64)
    return TensorSplit(x=torch.randn(n, 1, generator=generator) + labelled * label.unsqueeze(1), label=label)


def context_of(generator, sampler=None, labelled=0, training=6000, held_out=2000):
    sheet = [SimpleNamespace(condition={"label": torch.zeros(1, dtype=torch.int64)})]
    data = SimpleNamespace(
        train=rows(training, 1, labelled), heldout=rows(held_out, 2, labelled), codec=Codec(), sheet=lambda: sheet
    )
    players = Players({"generator": generator})
    return MetricContext(players, data, sampler=sampler and sampler(players), device=CPU, seed=3)


def judged(context, **options):
    judge = HeldOutJudge(**{"samples": 2000, "training": 2000, "steps": 200, "lr": 3e-2} | options)
    judge.check(context)
    return judge(context)


def test_the_gain_is_the_divergence_of_normal_distributions():
    figures = judged(context_of(Shifted(1.0)))
    # KL(N(0, 1) | N(1, 1)) = 1/2 and the best accuracy Phi(1/2): see any text on linear discriminants.
    assert figures["judge_gain"].value == pytest.approx(0.5, abs=0.08)
    assert figures["judge_accuracy"].value == pytest.approx(0.6915, abs=0.02)
    assert figures["judge_auc"].value == pytest.approx(0.7602, abs=0.02)  # Phi(1 / sqrt 2)
    low, high = (figures[f"judge_gain_{end}"].value for end in ("low", "high"))
    assert low < 0.5 < high
    assert 0.05 < high - low < 0.3


def test_of_training_rows_and_of_a_perfect_generator_nothing_is_gained():
    figures = judged(context_of(Shifted(0.0)))
    for found in (figures["judge_gain"].value, figures["judge_gain"].real):
        assert found == pytest.approx(0, abs=0.02)
    assert figures["judge_accuracy"].value == pytest.approx(0.5, abs=0.04)


def test_samples_are_made_on_the_labels_of_the_rows_that_they_stand_beside():
    # Of the data nine in ten are 4 and the rest 0: a sampler that were asked for others would be told by that.
    figures = judged(context_of(Shifted(follow=True), labelled=4))
    assert figures["judge_gain"].value == pytest.approx(0, abs=0.02)


def test_what_a_sampler_takes_away_is_the_share_of_its_generators_room():
    context = context_of(Shifted(1.0), sampler=Chosen)
    figures = judged(context)
    assert figures["judge_room"].value == pytest.approx(0.5, abs=0.08)
    assert figures["judge_room_low"].value < 0.5 < figures["judge_room_high"].value
    assert figures["judge_gain"].value == pytest.approx(0.125, abs=0.04)  # (1/2)^2 / 2
    assert figures["judge_used"].value == pytest.approx(0.75, abs=0.08)
    room, low, high = (figures[f"judge_room{end}"].value for end in ("", "_low", "_high"))
    (said,) = context.remarks
    assert said.startswith(f"room for a discriminator: {room:.2g} nats a sample ({low:.2g} to {high:.2g}; a fresh one")
    assert float(re.search(r"right in ([\d.]+)%\)", said)[1]) == pytest.approx(69.15, abs=2)
    used, least, most = (figures[f"judge_used{end}"].value for end in ("", "_low", "_high"))
    assert said.endswith(f"; the sampler uses {used:.0%} of it ({least:.0%} to {most:.0%})")
    assert 0.5 < least < used < most < 1


def test_the_same_seed_gives_the_same_figures_and_torch_goes_on_as_it_would():
    context = context_of(Shifted(1.0), training=400, held_out=100)
    torch.manual_seed(0)
    first = judged(context, steps=20, samples=50)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn)
    assert judged(context_of(Shifted(1.0), training=400, held_out=100), steps=20, samples=50) == first


def test_gain_accuracy_and_auc_are_those_of_their_formulas():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(7, generator=generator).round(), torch.randn(5, generator=generator).round()
    by_hand = sum(real.tolist()) / 7 - math.log(sum(math.exp(it) for it in fake.tolist()) / 5)
    assert gain(real, fake).item() == pytest.approx(by_hand, abs=1e-6)
    right = [(a > 0) + (a == 0) / 2 for a in real.tolist()], [(a < 0) + (a == 0) / 2 for a in fake.tolist()]
    assert accuracy(real, fake).item() == pytest.approx((sum(right[0]) / 7 + sum(right[1]) / 5) / 2, abs=1e-6)
    assert accuracy(torch.zeros(3), torch.zeros(2)).item() == 0.5  # of a judge that learned nothing
    pairs = [(a > b) + (a == b) / 2 for a in real.tolist() for b in fake.tolist()]
    assert auc(real, fake).item() == pytest.approx(sum(pairs) / 35, abs=1e-6)


@pytest.mark.parametrize(
    ("rows_of", "said"),
    [
        ({"held_out": 49}, "HeldOutJudge needs at least 50 held-out rows, and there are 49"),
        ({"training": 99}, "HeldOutJudge needs at least 100 training rows, and there are 99"),
    ],
)
def test_of_too_few_rows_is_said_how_many_are_needed(rows_of, said):
    with pytest.raises(UsageError) as error:
        HeldOutJudge().check(context_of(Shifted(), **rows_of))
    assert str(error.value) == said


def test_data_that_bring_no_discriminator_along_ask_for_one_by_name():
    context = context_of(Shifted())
    context.data.codec = SimpleNamespace(samples_of=None, batch_of=None)
    with pytest.raises(UsageError) as error:
        HeldOutJudge().check(context)
    assert str(error.value) == (
        "HeldOutJudge: SimpleNamespace lacks discriminator; name one, as in {use: judge, discriminator: NAME}"
    )
    HeldOutJudge(discriminator=Linear()).check(context_of(Shifted()))


def test_a_discriminator_of_packs_is_refused():
    class Packs(Linear):
        def forward(self, rows, condition=None):
            return super().forward(rows)[::2]

    with pytest.raises(UsageError, match="Packs gives 4 logits for 8 rows, and a judge one for each"):
        HeldOutJudge(discriminator=Packs()).check(context_of(Shifted()))


def test_where_there_is_no_room_none_is_used():
    context = context_of(Shifted(0.0), sampler=Chosen)
    assert math.isnan(judged(context)["judge_used"].value)
    assert context.remarks[0].endswith("; too little to tell what the sampler uses")


def test_a_gain_that_so_few_samples_cannot_show_comes_with_a_warning():
    near, far = context_of(Shifted(1.0)), context_of(Shifted(20.0), held_out=60)
    judged(near)
    assert not near.warnings
    assert judged(far, lr=0.3)["judge_gain"].value > math.log(60)
    assert far.warnings == [
        "HeldOutJudge: samples are told apart almost surely, and of so few no gain beyond 4.1 nats can be shown; "
        "take it for large"
    ]


def test_judges_of_one_seed_are_the_same_whichever_was_asked_before():
    contexts = [context_of(Shifted(1.0), training=400, held_out=100) for _ in range(2)]
    metric = HeldOutJudge(samples=50, steps=5)
    metric(contexts[0].sampled(8, {}))
    assert metric(contexts[0]) == HeldOutJudge(samples=50, steps=5)(contexts[1])
