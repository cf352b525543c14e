"""The game of pairs and its U-Net: what its turns add up, where noise comes from, what is refused."""

import pytest
import torch
from torch.nn.functional import l1_loss, softplus

from gangen import noise
from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.losses import NonSaturating
from gangen.networks import Players
from gangen_conditional.networks.patch import PatchDiscriminator
from gangen_conditional.networks.unet import Dropout, UNetGenerator
from gangen_conditional.objectives.pix2pix import Pix2Pix
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec
from gangen_text import TextSpec

SPEC = ImageFromSpec(1, 16, input=ImageSpec(3, 16))
CLOCK = Clock("adversarial", 0, 10)
CHANCE = torch.Generator().manual_seed(0)
BATCH = {
    "image": torch.randint(256, (4, 1, 16, 16), generator=CHANCE, dtype=torch.uint8),
    "input": torch.randint(256, (4, 3, 16, 16), generator=CHANCE, dtype=torch.uint8),
}


def game(**options):
    torch.manual_seed(0)
    return Players(
        {
            "generator": UNetGenerator(SPEC, width=4, max_width=8, **options),
            "discriminator": PatchDiscriminator(SPEC, width=4, layers=1, scales=2),
        }
    )


def test_generate_adds_the_mean_of_patches_the_l1_distance_and_that_of_features():
    players, objective = game(), Pix2Pix(SPEC, loss=NonSaturating(), l1=7.0, feature_matching=3.0)
    loss, stats = objective.generate(players, BATCH, CLOCK)
    real, fake = BATCH["image"].float() / 127.5 - 1, players.generator.sample(4, BATCH)
    fooled = softplus(-players.discriminator(fake, BATCH)).mean()
    matched = torch.zeros(())
    for scale, target in zip(*(players.discriminator.activations(it, BATCH) for it in (fake, real)), strict=True):
        assert len(scale) == 3
        matched = matched + (l1_loss(scale[0], target[0]) + l1_loss(scale[1], target[1])) / 2
    assert loss.item() == pytest.approx((fooled + 7 * (fake - real).abs().mean() + 3 * matched).item())
    assert stats["l1"].item() == pytest.approx((fake - real).abs().mean().item())


def test_regress_is_the_l1_distance_and_asks_no_discriminator():
    players, objective = game(), Pix2Pix(SPEC, loss=NonSaturating())
    alone = Players({"generator": players.generator})
    loss, _ = objective.regress(alone, BATCH, CLOCK)
    expected = (players.generator.sample(4, BATCH) - BATCH["image"].float() / 127.5 + 1).abs().mean()
    assert loss.item() == pytest.approx(expected.item())


def test_the_discriminator_tells_pairs_apart():
    players, objective = game(), Pix2Pix(SPEC, loss=NonSaturating())
    loss, _ = objective.discriminate(players, BATCH, CLOCK)
    with torch.no_grad():
        real = players.discriminator(BATCH["image"].float() / 127.5 - 1, BATCH)
        fake = players.discriminator(players.generator.sample(4, BATCH), BATCH)
    assert loss.item() == pytest.approx((softplus(-real).mean() + softplus(fake).mean()).item())


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("size", [8, 16, 64])
def test_a_u_net_makes_images_of_the_inputs_size_that_depend_on_every_part_of_it(size, norm):
    spec = ImageFromSpec(3, size, input=ImageSpec(1, size))
    net = UNetGenerator(spec, width=2, max_width=4, norm=norm)
    x = torch.rand(2, 1, size, size, requires_grad=True)
    made = net(x)
    assert made.shape == (2, 3, size, size)
    assert made.abs().max() <= 1
    made[:, :, size // 2, size // 2].sum().backward()
    assert (x.grad[:, :, [0, 0, -1, -1], [0, -1, 0, -1]] != 0).all()


def test_dropout_is_noise_in_sampling_too_and_comes_from_the_seed():
    net = game(dropout=0.5).generator.eval()
    with noise.shared(1):
        first = net.sample(4, BATCH)
    with noise.shared(1):
        again = net.sample(4, BATCH)
    with noise.shared(2):
        other = net.sample(4, BATCH)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    plain = game().generator.eval()
    assert torch.equal(plain.sample(4, BATCH), plain.sample(4, BATCH))


def test_dropout_leaves_the_mean_of_activations():
    dropped = Dropout(0.25).eval()(torch.ones(64, 32, 8, 8))
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 4 / 3])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (ImageSpec(1, 16), "conditional/unet needs images with an image of the same size as input: conditional/pairs"),
        (ImageFromSpec(1, 16, input=TextSpec(10, 5, 0)), "with an image of the same size as input"),
        (ImageFromSpec(1, 24, input=ImageSpec(1, 24)), "not 24"),
    ],
)
def test_a_u_net_says_what_data_it_needs(spec, said):
    with pytest.raises(UsageError, match=said):
        UNetGenerator(spec)
