"""CUT: places are recognised as the formula says, by what the translator's own layers see."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from gangen.contracts import Clock
from gangen.losses import Wasserstein
from gangen.networks import Players
from gangen_conditional.networks.contrastive import ContrastiveTranslator
from gangen_conditional.objectives.cut import CUT
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec

SPEC = ImageFromSpec(1, 8, input=ImageSpec(1, 8))
CLOCK = Clock("adversarial", 0, 10)
CHANCE = torch.Generator().manual_seed(0)
BATCH = {name: torch.randint(256, (2, 1, 8, 8), generator=CHANCE, dtype=torch.uint8) for name in ("image", "input")}
IMAGE, INPUT = (BATCH[name].float() / 127.5 - 1 for name in ("image", "input"))


class Mean(nn.Module):
    def forward(self, images):
        return images.mean((1, 2, 3))


def players():
    torch.manual_seed(0)
    generator = ContrastiveTranslator(SPEC, dim=5, width=3, halvings=1, blocks=1, norm="layer")
    return Players({"generator": generator, "discriminator": Mean()})


def equation_3(generator, start, made, temperature):
    """Place by place: minus the logarithm of the share that the same place has among all of one image."""
    found = []
    for layer, (before, after) in enumerate(zip(*(generator.activations(it) for it in (start, made)), strict=True)):
        each = []
        for a, b in zip(before, after, strict=True):
            known, query = (normalize(generator.projections[layer](it.flatten(1).T), dim=1) for it in (a, b))
            for place, v in enumerate(query):
                shares = [torch.exp(v @ k / temperature) for k in known]
                each.append(-torch.log(shares[place] / sum(shares)))
        found.append(torch.stack(each).mean())
    return torch.stack(found).mean()


@pytest.mark.parametrize("identity", [True, False])
def test_generate_adds_up_equation_5(identity):
    game = players()
    objective = CUT(SPEC, loss=Wasserstein(), contrast=3.0, places=64, temperature=0.5, identity=identity)
    loss, stats = objective.generate(game, BATCH, CLOCK)
    made = game.generator(INPUT)
    contrast = equation_3(game.generator, INPUT, made, 0.5)
    assert stats["contrast"].item() == pytest.approx(contrast.item(), rel=1e-4)
    if identity:
        contrast = (contrast + equation_3(game.generator, IMAGE, game.generator(IMAGE), 0.5)) / 2
    assert loss.item() == pytest.approx((3 * contrast - made.mean()).item(), rel=1e-4)


def test_of_many_places_some_are_looked_at():
    game = players()
    all_of_them, some = (
        CUT(SPEC, loss=Wasserstein(), places=places).generate(game, BATCH, CLOCK)[1]["contrast"] for places in (64, 4)
    )
    assert some < all_of_them  # one of four is more easily recognised than one of 64


def test_layers_of_the_encoder_are_those_of_the_translator():
    generator = players().generator
    layers = generator.activations(INPUT)
    assert [list(it.shape[1:]) for it in layers] == [[3, 8, 8], [6, 4, 4], [6, 4, 4]]
    made = generator.output(generator.up[0](layers[-1], None)).tanh()
    assert made.equal(generator(INPUT))
