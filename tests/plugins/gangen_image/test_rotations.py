"""What images without labels are seen with: which way up they are."""

from types import SimpleNamespace

import pytest
import torch

from gangen import TensorSplit, UsageError
from gangen_image import ImageCodec, ImageSpec, Rotations
from gangen_image.data.points import Points

CPU = torch.device("cpu")


def skies(n=200, seed=0):
    """Noise that is brighter at the top."""
    image = torch.randint(100, (n, 1, 12, 12), generator=torch.Generator().manual_seed(seed))
    image[:, :, :4] += 120
    rows = TensorSplit(image=image.to(torch.uint8))
    return SimpleNamespace(codec=ImageCodec(ImageSpec(1, 12)), train=rows, heldout=rows)


def test_features_tell_which_way_up_images_are():
    data, extractor = skies(), Rotations(width=4, steps=60)
    extractor.check(data)
    extractor.fit(data, CPU)
    images = data.codec.samples_of(skies(seed=1).heldout.rows())
    features = [extractor.features(images.rot90(turn, (2, 3))) for turn in range(4)]
    assert features[0].shape == (200, 128)
    centres = torch.stack([it[:100].mean(0) for it in features])
    nearest = torch.cat([torch.cdist(it[100:], centres).argmin(1) for it in features])
    assert (nearest == torch.arange(4).repeat_interleave(100)).float().mean() > 0.95


def test_it_is_fitted_once_and_the_same_by_its_seed():
    data, first, other = skies(), Rotations(width=4, steps=5), Rotations(width=4, steps=5, seed=1)
    for extractor in (first, other):
        extractor.fit(data, CPU)
    before = first.digest
    data.train = None
    first.fit(data, CPU)
    assert first.digest == before != other.digest
    assert first.key != other.key
    again = Rotations(width=4, steps=5)
    again.fit(skies(), CPU)
    assert again.digest == before


def test_what_is_no_image_is_refused():
    with pytest.raises(UsageError, match="image/rotations learns from images, which these data are not"):
        Rotations().check(Points(size=10, heldout_size=10))
