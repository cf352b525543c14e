"""Losses against formulas written with plain Python floats, straight from the papers."""

import math

import pytest
import torch

from gangen import losses

REAL, FAKE = [0.3, -1.2, 2.5, 0.0], [-0.7, 1.9, -3.1, 0.4]


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


MEAN_REAL, MEAN_FAKE = mean(REAL), mean(FAKE)
MINIMAX_D = -mean(map(log_sigmoid, REAL)) - mean(math.log(1 - 1 / (1 + math.exp(-f))) for f in FAKE)
EXPECTED = {
    losses.Minimax: (MINIMAX_D, mean(math.log(1 - 1 / (1 + math.exp(-f))) for f in FAKE)),
    losses.NonSaturating: (MINIMAX_D, -mean(map(log_sigmoid, FAKE))),
    losses.LeastSquares: (
        mean((r - 1) ** 2 for r in REAL) / 2 + mean(f**2 for f in FAKE) / 2,
        mean((f - 1) ** 2 for f in FAKE) / 2,
    ),
    losses.Wasserstein: (MEAN_FAKE - MEAN_REAL, -MEAN_FAKE),
    losses.Hinge: (mean(max(0, 1 - r) for r in REAL) + mean(max(0, 1 + f) for f in FAKE), -MEAN_FAKE),
    losses.RelativisticPaired: (
        -mean(log_sigmoid(r - f) for r, f in zip(REAL, FAKE, strict=True)),
        -mean(log_sigmoid(f - r) for r, f in zip(REAL, FAKE, strict=True)),
    ),
    losses.RelativisticAverage: (
        -mean(log_sigmoid(r - MEAN_FAKE) for r in REAL) / 2 - mean(log_sigmoid(MEAN_REAL - f) for f in FAKE) / 2,
        -mean(log_sigmoid(f - MEAN_REAL) for f in FAKE) / 2 - mean(log_sigmoid(MEAN_FAKE - r) for r in REAL) / 2,
    ),
}


@pytest.mark.parametrize("shape", [(4,), (2, 2)], ids=["rows", "parts of rows"])
@pytest.mark.parametrize("loss_class", EXPECTED, ids=lambda loss: loss.__name__)
def test_loss_equals_its_paper(loss_class, shape):
    real, fake = (torch.tensor(values, dtype=torch.float64).reshape(shape) for values in (REAL, FAKE))
    discriminator, generator = EXPECTED[loss_class]
    assert loss_class().discriminator(real, fake).item() == pytest.approx(discriminator, abs=1e-12)
    assert loss_class().generator(real, fake).item() == pytest.approx(generator, abs=1e-12)


@pytest.mark.parametrize("loss_class", EXPECTED, ids=lambda loss: loss.__name__)
def test_only_relativistic_losses_look_at_real_in_the_generators_turn(loss_class):
    fake = torch.tensor(FAKE)
    if loss_class.relativistic:
        moved = [loss_class().generator(torch.tensor(REAL) + shift, fake) for shift in (0.0, 1.0)]
        assert moved[0] != moved[1]
    else:
        assert torch.equal(loss_class().generator(None, fake), loss_class().generator(torch.tensor(REAL), fake))


@pytest.mark.parametrize("loss_class", EXPECTED, ids=lambda loss: loss.__name__)
def test_losses_stay_finite_at_extreme_logits(loss_class):
    real = torch.tensor([200.0, -200.0], requires_grad=True)
    fake = torch.tensor([-200.0, 200.0], requires_grad=True)
    (loss_class().discriminator(real, fake) + loss_class().generator(real, fake)).backward()
    assert torch.isfinite(real.grad).all() and torch.isfinite(fake.grad).all()


def test_accuracy_asks_a_relativistic_loss_for_pairs_and_others_for_signs():
    real, fake = torch.tensor([3.0, 2.0, -1.0, 5.0]), torch.tensor([1.0, 4.0, -2.0, 2.0])
    assert losses.accuracy(losses.RelativisticPaired(), real, fake) == 3 / 4
    assert losses.accuracy(losses.Hinge(), real, fake) == (3 / 4 + 1 / 4) / 2
