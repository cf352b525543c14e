"""PatchGAN: what a patch is, how scales count, what penalties see."""

import pytest
import torch

from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.losses import NonSaturating
from gangen.penalties import R1, Judge
from gangen_conditional.networks.patch import PatchDiscriminator
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec
from gangen_text import TextSpec

SPEC = ImageFromSpec(1, 32, input=ImageSpec(3, 32))
CONDITION = {"input": torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)}


def images(n=4, channels=1, size=32):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(("layers", "side", "patch"), [(1, 62, 16), (2, 30, 34), (3, 14, 70)])
def test_a_logit_sees_a_patch_of_the_papers_size(layers, side, patch):
    net = PatchDiscriminator(ImageSpec(1, 128), conditional=False, width=2, layers=layers, norm="none").double()
    x = images(1, size=128).double().requires_grad_()
    logits = net(x)
    assert logits.shape == (1, side**2)
    (slope,) = torch.autograd.grad(logits.reshape(side, side)[side // 2, side // 2], x)
    rows = slope[0, 0].abs().sum(1).nonzero()
    assert rows.max() - rows.min() + 1 == patch


def test_every_scale_counts_alike():
    net = PatchDiscriminator(ImageSpec(1, 32), conditional=False, width=2, layers=1, scales=3)
    for value, layers in zip((1.0, 2.0, 6.0), net.scales, strict=True):
        torch.nn.init.zeros_(layers[-1].weight)
        torch.nn.init.constant_(layers[-1].bias, value)
    assert net(images()).mean().item() == pytest.approx(3.0)
    losses = [NonSaturating().generator(None, torch.tensor([value])) for value in (1.0, 2.0, 6.0)]
    assert NonSaturating().generator(None, net(images())).item() == pytest.approx(sum(losses).item() / 3)


def test_a_coarser_scale_judges_the_image_at_half_the_resolution():
    net = PatchDiscriminator(ImageSpec(1, 32), conditional=False, width=2, layers=1, scales=2)
    coarse = PatchDiscriminator(ImageSpec(1, 16), conditional=False, width=2, layers=1)
    coarse.scales.load_state_dict({f"0.{name}": it for name, it in net.scales[1].state_dict().items()})
    plain = images()[:, :, ::8, ::8].repeat_interleave(8, 2).repeat_interleave(8, 3)
    shrunk = torch.nn.functional.avg_pool2d(plain, 3, 2, 1, count_include_pad=False)
    found = net(plain)[:, 14**2 :].reshape(4, 14, 14)
    assert torch.allclose(found[:, 0, 0], coarse(shrunk)[:, 0], atol=1e-6)
    assert torch.allclose(found[:, -1, -1], coarse(shrunk)[:, -1], atol=1e-6)


def test_a_conditional_one_judges_the_image_beside_its_input():
    net = PatchDiscriminator(SPEC, width=2, layers=2)
    black = {"input": torch.zeros_like(CONDITION["input"])}
    assert not torch.allclose(net(images(), CONDITION), net(images(), black))
    alone = PatchDiscriminator(SPEC, width=2, layers=2, conditional=False)
    assert torch.equal(alone(images(), CONDITION), alone(images()))


def test_a_penalty_sees_the_mean_of_the_patches():
    torch.manual_seed(0)
    net = PatchDiscriminator(ImageSpec(1, 32), conditional=False, width=2, layers=2, scales=2).double()
    real = images().double()
    x = real.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(x).mean(1).sum(), x)
    found = R1(weight=2.0)(Judge(net), real, real, Clock("adversarial", 0, 1))
    assert found.item() == pytest.approx(slope.square().flatten(1).sum(1).mean().item())


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        (ImageSpec(1, 12), {"conditional": False}, "24 pixels or more, not 12; take fewer layers or scales"),
        (ImageSpec(1, 32), {"conditional": False, "scales": 2}, "47 pixels or more"),
        (ImageSpec(1, 32), {}, "conditional/patch needs images with an image of the same size as input"),
        (ImageFromSpec(1, 32, input=ImageSpec(1, 16)), {}, "or conditional: false"),
        (TextSpec(10, 5, 0), {}, "judges images"),
    ],
)
def test_what_it_cannot_judge_is_refused(spec, options, said):
    with pytest.raises(UsageError, match=said):
        PatchDiscriminator(spec, **options)


def test_the_smallest_images_have_a_patch_at_every_scale():
    net = PatchDiscriminator(ImageSpec(1, 23), conditional=False, width=2, layers=2, scales=2)
    assert net(images(size=23)).isfinite().all()
