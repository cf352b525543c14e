"""StarGAN: what its turns add up."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gangen import UsageError
from gangen.contracts import Clock
from gangen.losses import Wasserstein
from gangen.networks import Players
from gangen_conditional.objectives.stargan import StarGAN
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec

SPEC = ImageFromSpec(1, 4, ("a", "b", "c"), input=ImageSpec(1, 4))
CLOCK = Clock("adversarial", 0, 10)
CHANCE = torch.Generator().manual_seed(0)
BATCH = {name: torch.randint(256, (3, 1, 4, 4), generator=CHANCE, dtype=torch.uint8) for name in ("image", "input")}
BATCH |= {"label": torch.tensor([0, 2, 1]), "input_label": torch.tensor([1, 1, 0])}
IMAGE, INPUT = (BATCH[name].float() / 127.5 - 1 for name in ("image", "input"))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor([0.5, -1.0, 0.2]))

    def forward(self, images, label):
        return self.slopes[label][:, None, None, None] * images

    def sample(self, n, condition):
        return self(condition["input"].float() / 127.5 - 1, condition["label"])


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        return self.slope * images.flatten(1)

    def classify(self, images):
        return images.flatten(1)[:, :3]


def game():
    return Players({"generator": Generator(), "discriminator": Discriminator()})


def made():
    return torch.tensor([0.5, 0.2, -1.0])[:, None, None, None] * INPUT


def test_generate_adds_up_equation_6():
    objective = StarGAN(SPEC, loss=Wasserstein(), classification=3.0, reconstruction=5.0)
    loss, stats = objective.generate(game(), BATCH, CLOCK)
    back = torch.tensor([-1.0, -1.0, 0.5])[:, None, None, None] * made()
    wrong = cross_entropy(made().flatten(1)[:, :3], BATCH["label"])
    cycle = (back - INPUT).abs().mean()
    assert loss.item() == pytest.approx((-2 * made().mean() + 3 * wrong + 5 * cycle).item(), rel=1e-5)
    assert stats["cycle"].item() == pytest.approx(cycle.item(), rel=1e-5)


def test_what_is_of_its_own_label_already_is_left_alone_where_that_is_asked_for():
    plain, more = (
        StarGAN(SPEC, loss=Wasserstein(), identity=weight).generate(game(), BATCH, CLOCK)[0] for weight in (0.0, 4.0)
    )
    same = torch.tensor([-1.0, -1.0, 0.5])[:, None, None, None] * INPUT
    assert (more - plain).item() == pytest.approx(4 * (same - INPUT).abs().mean().item(), rel=1e-5)


def test_discriminate_adds_up_equation_5():
    objective = StarGAN(SPEC, loss=Wasserstein(), classification=3.0)
    loss, _ = objective.discriminate(game(), BATCH, CLOCK)
    wrong = cross_entropy(IMAGE.flatten(1)[:, :3], BATCH["label"])
    assert loss.item() == pytest.approx((2 * made().mean() - 2 * IMAGE.mean() + 3 * wrong).item(), rel=1e-5)


def test_data_without_labels_are_refused():
    with pytest.raises(UsageError, match="these data have none"):
        StarGAN(ImageFromSpec(1, 4, input=ImageSpec(1, 4)), loss=Wasserstein())
