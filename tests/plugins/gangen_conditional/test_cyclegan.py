"""CycleGAN: what its turns add up, and the pool of images of before."""

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.contracts import Clock
from gangen.losses import LeastSquares, RelativisticPaired
from gangen.networks import Players
from gangen_conditional.objectives.cyclegan import CycleGAN
from gangen_conditional.objectives.image_pool import ImagePool
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec

SPEC = ImageFromSpec(1, 4, input=ImageSpec(1, 4))
CLOCK = Clock("adversarial", 0, 10)
CHANCE = torch.Generator().manual_seed(0)
BATCH = {name: torch.randint(256, (3, 1, 4, 4), generator=CHANCE, dtype=torch.uint8) for name in ("image", "input")}
IMAGE, INPUT = (BATCH[name].float() / 127.5 - 1 for name in ("image", "input"))


class Line(nn.Module):
    def __init__(self, slope, shift):
        super().__init__()
        self.slope, self.shift = nn.Parameter(torch.tensor(slope)), shift

    def forward(self, x):
        return self.slope * x + self.shift


def game():
    return Players(
        {
            "to_image": Line(0.5, 0.1),
            "to_input": Line(-2.0, 0.3),
            "discriminator_image": Line(3.0, -0.2),
            "discriminator_input": Line(0.7, 0.4),
        }
    )


def test_translate_adds_up_both_sides_of_equation_3():
    loss, stats = CycleGAN(SPEC, loss=LeastSquares(), cycle=4.0, identity=3.0).translate(game(), BATCH, CLOCK)
    made, start = 0.5 * INPUT + 0.1, -2 * IMAGE + 0.3
    fooled = ((3 * made - 0.2 - 1) ** 2).mean() / 2 + ((0.7 * start + 0.4 - 1) ** 2).mean() / 2
    back = (-2 * made + 0.3 - INPUT).abs().mean() + (0.5 * start + 0.1 - IMAGE).abs().mean()
    alone = (0.5 * IMAGE + 0.1 - IMAGE).abs().mean() + (-2 * INPUT + 0.3 - INPUT).abs().mean()
    assert loss.item() == pytest.approx((fooled + 4 * back + 3 * alone).item(), rel=1e-5)
    assert (stats["cycle_input"] + stats["cycle_image"]).item() == pytest.approx(back.item(), rel=1e-5)


def test_discriminate_looks_at_the_pool():
    objective = CycleGAN(SPEC, loss=LeastSquares(), pool=3)
    made, start = 0.5 * INPUT + 0.1, -2 * IMAGE + 0.3
    real = ((3 * IMAGE - 0.2 - 1) ** 2).mean() + ((0.7 * INPUT + 0.4 - 1) ** 2).mean()
    fake = ((3 * made - 0.2) ** 2).mean() + ((0.7 * start + 0.4) ** 2).mean()
    loss, _ = objective.discriminate(game(), BATCH, CLOCK)
    assert loss.item() == pytest.approx((real + fake).item() / 2, rel=1e-5)
    assert objective.pools["image"].images.equal(made)
    assert objective.pools["input"].images.equal(start)


def test_a_relativistic_loss_has_real_images_to_compare_with():
    loss, _ = CycleGAN(SPEC, loss=RelativisticPaired(), cycle=0.0, identity=0.0).translate(game(), BATCH, CLOCK)
    assert loss.isfinite() and loss.requires_grad


def test_images_come_back_at_once_until_the_pool_is_full():
    pool, first = ImagePool(4, (1,)), torch.arange(3.0)[:, None]
    assert pool(first).equal(first)
    assert (pool.held.item(), pool.images.flatten().tolist()) == (3, [0, 1, 2, 0])


def test_then_half_of_them_are_exchanged_and_none_is_lost():
    pool, given, seen = ImagePool(50, (1,)), torch.arange(1050.0)[:, None], []
    with noise.shared(0):
        for images in given.split(50):
            seen.append(pool(images).flatten())
    assert seen[0].equal(given[:50, 0])
    later = torch.cat(seen[1:])
    assert (later == given[50:, 0]).float().mean().item() == pytest.approx(0.5, abs=0.05)
    together = torch.cat([*seen, pool.images.flatten()]).tolist()
    assert set(together) == set(given.flatten().tolist())
    # The first 50 are there twice: once as they came, once as they left the pool.
    assert len(together) == 1050 + 50


def test_a_pool_of_none_gives_back_what_it_gets():
    images = torch.rand(5, 1, requires_grad=True)
    assert ImagePool(0, (1,))(images).equal(images) and not ImagePool(0, (1,))(images).requires_grad
