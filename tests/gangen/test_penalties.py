"""Penalties against formulas for discriminators whose slope is known, and their gradients against differences."""

import copy
import math

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.contracts import Clock
from gangen.penalties import (
    R1,
    R2,
    ApproximateR1,
    ApproximateR2,
    Centring,
    GradientPenalty,
    Judge,
    LeCam,
    VirtualAdversarial,
)

CLOCK = Clock("adversarial", 0, 10)
REAL = torch.tensor([[1.0, 2.0], [-0.5, 0.3], [0.2, -1.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.1, 0.4], [2.0, -1.5], [-0.7, 0.9]], dtype=torch.float64)
CURVATURE = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)


def quadratic(x):
    """x' A x / 2, whose slope is A x."""
    return (x @ CURVATURE * x).sum(1) / 2


def slopes(x):
    return x @ CURVATURE


def test_r1_and_r2_are_half_the_mean_squared_slope_at_real_and_at_fake_samples():
    for penalty, samples in ((R1(weight=3.0), REAL), (R2(weight=3.0), FAKE)):
        expected = 3 / 2 * sum(slope.square().sum() for slope in slopes(samples)) / 3
        assert penalty(quadratic, REAL, FAKE, CLOCK).item() == pytest.approx(expected.item(), abs=1e-12)


PACKED = torch.arange(16, dtype=torch.float64).reshape(4, 4).sin() + 2 * torch.eye(4, dtype=torch.float64)
FOUR = torch.linspace(-1, 2, 8, dtype=torch.float64).reshape(4, 2)


def pairs(x):
    """One logit for two rows that follow each other: a quadratic form in all four numbers, not symmetric."""
    packs = x.reshape(-1, 4)
    return (packs @ PACKED * packs).sum(1) / 2


def test_means_are_over_packs_where_the_discriminator_judges_packs():
    slopes = [(PACKED + PACKED.T) @ pack / 2 for pack in FOUR.reshape(2, 4)]
    squares = sum(float(slope @ slope) for slope in slopes) / 2
    lengths = sum((float(slope @ slope) ** 0.5 - 1) ** 2 for slope in slopes) / 2
    assert R1(weight=3.0)(pairs, FOUR, -FOUR, CLOCK).item() == pytest.approx(3 / 2 * squares, abs=1e-12)
    assert R2(weight=3.0)(pairs, -FOUR, FOUR, CLOCK).item() == pytest.approx(3 / 2 * squares, abs=1e-12)
    assert GradientPenalty()(pairs, FOUR, FOUR, CLOCK).item() == pytest.approx(10 * lengths, abs=1e-12)


def test_the_virtual_adversary_moves_a_pack_as_a_whole():
    weight, moved = torch.tensor([1.0, 2.0, -2.0, 4.0], dtype=torch.float64), []

    def judge(x):
        moved.append(x.detach())
        return x.reshape(-1, 4) @ weight

    VirtualAdversarial(epsilon=0.5)(judge, FOUR, FOUR, CLOCK)
    for pack in (moved[-1] - FOUR).reshape(2, 4):
        assert torch.allclose(pack.abs(), 0.5 * weight.abs() / 5)


def test_what_the_discriminator_said_of_samples_before_it_is_not_asked_again():
    torch.manual_seed(0)
    net, asked = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double(), []

    def ask(x):
        asked.append(x)
        return net(x).squeeze(1)

    expected = [penalty(ask, REAL, FAKE, CLOCK) for penalty in (R1(), R2(), LeCam(weight=0.3).double())]
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    known = [(real, ask(real)), (fake, ask(fake))]
    asked.clear()
    found = [penalty(Judge(ask, *known), real, fake, CLOCK) for penalty in (R1(), R2(), LeCam(weight=0.3).double())]
    assert asked == []
    gradients = [torch.autograd.grad(sum(sizes), list(net.parameters())[:3]) for sizes in (found, expected)]
    assert all(torch.allclose(one, two, rtol=1e-12) for one, two in zip(*gradients, strict=True))
    GradientPenalty()(Judge(ask, *known), real, fake, CLOCK)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "penalty", [R1(), R2(), LeCam(weight=0.3).double()], ids=lambda penalty: type(penalty).__name__
)
def test_of_logits_for_parts_of_a_row_penalties_see_the_mean(penalty):
    parts = Judge(lambda x: torch.stack([3 * quadratic(x), -quadratic(x)], dim=1))
    expected = copy.deepcopy(penalty)(quadratic, REAL, FAKE, CLOCK)
    assert penalty(parts, REAL, FAKE, CLOCK).item() == pytest.approx(expected.item(), rel=1e-12)
    known = Judge(parts.ask, (REAL, parts.ask(REAL)))
    assert torch.equal(known(REAL), parts(REAL))


@pytest.mark.parametrize("center", [0.0, 1.0])
def test_the_gradient_penalty_looks_at_mixtures_of_pairs(center):
    with noise.shared(4):
        share = noise.uniform(3, 1, dtype=torch.float64)
    mixtures = share * REAL + (1 - share) * FAKE
    expected = 10 * sum((slope.norm() - center) ** 2 for slope in slopes(mixtures)) / 3
    with noise.shared(4):
        found = GradientPenalty(center=center)(quadratic, REAL, FAKE, CLOCK)
    assert found.item() == pytest.approx(expected.item(), abs=1e-12)


def test_a_discriminator_with_no_slope_has_a_finite_penalty_with_a_finite_gradient():
    flat = nn.Linear(2, 1).double()
    nn.init.zeros_(flat.weight)
    penalty = GradientPenalty()(lambda x: flat(x).squeeze(1), REAL, FAKE, CLOCK)
    penalty.backward()
    assert penalty.item() == 10
    assert torch.isfinite(flat.weight.grad).all()


def test_lecam_anchors_start_at_the_first_means_and_then_follow_with_their_decay():
    penalty = LeCam(weight=2.0, decay=0.75).double()
    identity = torch.flatten
    anchors = (3.0, -1.0)
    for real, fake in ([4.0, 2.0], [0.0, -2.0]), ([1.0, 0.0], [5.0, 2.0]):
        means = sum(real) / 2, sum(fake) / 2
        if real[0] == 1.0:
            anchors = tuple(0.75 * old + 0.25 * new for old, new in zip(anchors, means, strict=True))
        expected = 2 * sum((r - anchors[1]) ** 2 for r in real) / 2 + 2 * sum((f - anchors[0]) ** 2 for f in fake) / 2
        found = penalty(identity, torch.tensor(real).double(), torch.tensor(fake).double(), CLOCK)
        assert found.item() == pytest.approx(expected)
    assert penalty.state_dict()["anchors"].tolist() == list(anchors)


def test_approximate_r1_and_r2_are_those_of_slopes_in_the_mean():
    rows = REAL.repeat(20_000, 1)
    for approximate, exact in ((ApproximateR1, R1), (ApproximateR2, R2)):
        sides = (rows, FAKE) if exact is R1 else (FAKE, rows)
        with noise.shared(0):
            found = approximate(weight=3.0)(quadratic, *sides, CLOCK).item()
        assert found == pytest.approx(exact(weight=3.0)(quadratic, *sides, CLOCK).item(), rel=0.04)
    with noise.shared(1):
        found = ApproximateR1(weight=3.0, sigma=0.5)(quadratic, REAL, FAKE, CLOCK).item()
    with noise.shared(1):
        moved = REAL + 0.5 * noise.normal(3, 2, dtype=torch.float64)
    assert found == pytest.approx(3 * (quadratic(moved) - quadratic(REAL)).square().mean().item() / (2 * 0.25))


def test_centring_holds_the_mean_of_all_logits_at_nothing():
    real, fake = (torch.tensor(it).double() for it in ([3.0, 1.0], [4.0, -2.0]))
    assert Centring(weight=2.0)(torch.flatten, real, fake, CLOCK).item() == pytest.approx(2 * ((2 + 1) / 2) ** 2)


def test_lecam_has_no_weight_that_would_do_for_all_losses():
    with pytest.raises(TypeError, match="weight"):
        LeCam()


def test_one_sided_lecam_counts_real_logits_above_and_fake_ones_below_the_others_average():
    penalty = LeCam(weight=2.0, one_sided=True).double()
    penalty.anchors.copy_(torch.tensor([1.0, -1.0]))
    real, fake = (torch.tensor(it).double() for it in ([3.0, -3.0], [4.0, -2.0]))
    real_anchor, fake_anchor = 0.99 * 1.0 + 0.01 * 0.0, 0.99 * -1.0 + 0.01 * 1.0
    expected = 2 * ((3 - fake_anchor) ** 2 / 2 + (real_anchor + 2) ** 2 / 2)
    assert penalty(torch.flatten, real, fake, CLOCK).item() == pytest.approx(expected)


def test_the_virtual_adversary_of_a_linear_discriminator_moves_along_its_weights():
    weight = torch.tensor([0.6, -0.8], dtype=torch.float64)
    epsilon = 0.5
    with noise.shared(0):
        found = VirtualAdversarial(epsilon=epsilon)(lambda x: x @ weight, REAL, FAKE, CLOCK)
    expected = []
    for logit in (REAL @ weight).tolist():
        p = 1 / (1 + math.exp(-logit))
        # Along the weights or against them: noise decides.
        moved = [1 / (1 + math.exp(-logit - step)) for step in (epsilon, -epsilon)]
        expected.append([p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)) for q in moved])
    choices = [sum(row[(code >> k) & 1] for k, row in enumerate(expected)) / 3 for code in range(8)]
    assert min(abs(found.item() - choice) for choice in choices) < 1e-6


def test_the_virtual_adversary_takes_class_logits():
    net = nn.Linear(2, 4).double()
    penalty = VirtualAdversarial(iterations=2)(net, REAL, FAKE, CLOCK)
    assert penalty.item() > 0
    penalty.backward()
    assert net.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), R2()], ids=lambda penalty: type(penalty).__name__)
def test_gradients_of_weights_equal_differences(penalty):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    start = nn.utils.parameters_to_vector(net.parameters()).detach()

    def size(vector):
        nn.utils.vector_to_parameters(vector, net.parameters())
        with noise.shared(1):
            return penalty(lambda x: net(x).squeeze(1), REAL, FAKE, CLOCK)

    gradients = torch.autograd.grad(size(start), list(net.parameters()), materialize_grads=True)
    found = torch.cat([gradient.flatten() for gradient in gradients])
    for index in range(len(start)):
        step = torch.zeros_like(start)
        step[index] = 1e-5
        difference = (size(start + step) - size(start - step)).item() / 2e-5
        assert found[index].item() == pytest.approx(difference, abs=1e-7)


def test_the_weight_follows_its_schedule():
    penalty = R1(weight={"start": 8.0, "end": 2.0})
    first, last = (penalty(quadratic, REAL, FAKE, Clock("adversarial", step, 11)).item() for step in (0, 10))
    assert first == pytest.approx(4 * last)


def test_penalties_are_float32_under_mixed_precision():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    seen = []

    def judge(x):
        logits = net(x).squeeze(1)
        seen.append(logits.dtype)
        return logits

    real, fake = REAL.bfloat16(), FAKE.bfloat16()
    expected = R1()(judge, real.float(), fake.float(), CLOCK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = R1()(judge, real, fake, CLOCK)
    assert seen == [torch.float32] * 2
    assert torch.equal(found, expected)


def test_samples_get_no_gradient():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    net = nn.Linear(2, 1).double()
    sum(penalty(lambda x: net(x).square().squeeze(1), real, fake, CLOCK) for penalty in (R1(), R2())).backward()
    assert real.grad is None and fake.grad is None
    assert net.weight.grad is not None


@pytest.mark.parametrize(
    "penalty",
    [
        GradientPenalty(),
        R1(),
        R2(),
        ApproximateR1(),
        ApproximateR2(),
        Centring(),
        LeCam(weight=1),
        VirtualAdversarial(),
    ],
    ids=lambda penalty: type(penalty).__name__,
)
def test_a_penalty_says_whether_it_differentiates_twice(penalty, monkeypatch):
    twice, grad = [], torch.autograd.grad

    def look(*given, create_graph=False, **named):
        twice.append(create_graph)
        return grad(*given, create_graph=create_graph, **named)

    monkeypatch.setattr(torch.autograd, "grad", look)
    penalty(lambda x: x.square().sum(1), REAL.float(), FAKE.float(), CLOCK)
    assert any(twice) == penalty.differentiates_twice
