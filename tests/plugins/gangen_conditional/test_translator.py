"""The translator: what it looks at, what a label changes, and what it refuses."""

import pytest
import torch

from gangen import UsageError
from gangen_conditional.networks.domains import DomainDiscriminator
from gangen_conditional.networks.translator import Translator
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec

LABELLED = ImageFromSpec(3, 16, ("a", "b"), input=ImageSpec(1, 16))


@pytest.mark.parametrize(("size", "halvings"), [(8, 2), (28, 2), (16, 3), (6, 1), (5, 0)])
def test_it_makes_images_of_the_inputs_size(size, halvings):
    net = Translator(ImageFromSpec(3, size, input=ImageSpec(1, size)), width=2, blocks=1, halvings=halvings)
    made = net.sample(2, {"input": torch.randint(256, (2, 1, size, size), dtype=torch.uint8)})
    assert made.shape == (2, 3, size, size)
    assert made.abs().max() <= 1


def test_it_sees_the_input_in_its_own_range():
    net = Translator(LABELLED, width=2, blocks=1)
    pixels = torch.randint(256, (2, 1, 16, 16), dtype=torch.uint8)
    assert net.sample(2, {"input": pixels}).equal(net(pixels.float() / 127.5 - 1))


def test_it_has_as_many_weights_as_the_paper_says():
    """11.4 million of Zhu et al. (2017), with 9 blocks, and with 3 x 3 in the place of our 4 x 4 on the way up."""
    net = Translator(ImageFromSpec(3, 256, input=ImageSpec(3, 256)), width=64, blocks=9)
    kernels = sum(weight.numel() for weight in net.parameters() if weight.dim() == 4)
    up = (16 - 9) * (256 * 128 + 128 * 64)
    assert kernels - up == 2 * 49 * 3 * 64 + 2 * 9 * (64 * 128 + 128 * 256) + 18 * 9 * 256 * 256
    assert round((kernels - up) / 1e6, 1) == 11.4


def test_a_label_is_a_gain_and_a_shift_in_every_norm():
    net = Translator(LABELLED, width=2, blocks=1, labelled=True)
    images, label = torch.rand(2, 1, 16, 16), torch.tensor([0, 1])
    both = net(images[:1].expand(2, -1, -1, -1), label)
    assert (both[0] - both[1]).abs().max() > 1e-4
    plain = Translator(LABELLED, width=2, blocks=1)
    assert plain(images, label).equal(plain(images))
    with pytest.raises(UsageError, match="a condition needs a label, one of a, b"):
        net.sample(2, {"input": torch.zeros(2, 1, 16, 16, dtype=torch.uint8)})


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        (ImageFromSpec(1, 30, input=ImageSpec(1, 30)), {}, "a multiple of 4, from 8, or take fewer halvings"),
        (ImageFromSpec(1, 4, input=ImageSpec(1, 4)), {}, "cannot halve images of 4 pixels 2 times"),
        (ImageFromSpec(1, 16, input=ImageSpec(1, 16)), {"labelled": True}, "these have none"),
        (ImageSpec(1, 16), {}, "conditional/translator needs images with an image of the same size"),
    ],
)
def test_data_that_it_cannot_translate_are_refused(spec, options, said):
    with pytest.raises(UsageError, match=said):
        Translator(spec, width=2, **options)


def test_a_discriminator_of_domains_judges_patches_and_tells_labels():
    net = DomainDiscriminator(LABELLED, width=4, layers=2)
    images = torch.rand(3, 3, 16, 16)
    assert net(images, {"input": None}).shape == (3, 4)
    expected = net.classifier(net.activations(images)[0][-2].flatten(2).mean(2))
    assert net.classify(images).equal(expected) and expected.shape == (3, 2)
    with pytest.raises(UsageError, match="give it conditional: false"):
        DomainDiscriminator(LABELLED, width=4, layers=2, conditional=True)(images)
    with pytest.raises(UsageError, match="these data have none"):
        DomainDiscriminator(ImageSpec(1, 16), width=2, layers=1)
