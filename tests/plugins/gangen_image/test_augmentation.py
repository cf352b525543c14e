"""Augmentation: what is moved where, what stays as it is, gradients of any order, and a probability that adapts."""

import math

import pytest
import torch

from gangen import noise
from gangen.contracts import Clock
from gangen.penalties import R1
from gangen.schedules import Schedule
from gangen_image.networks.resampling import resample, shift, window
from gangen_image.objectives import augmentation as augmentation_module
from gangen_image.objectives.augmentation import Adaptive, DiffAugment
from gangen_image.objectives.consistency import Consistency

AUGMENTATIONS = {
    "diffaugment": DiffAugment(),
    **{f"diffaugment {name}": DiffAugment(policy=[name]) for name in ("color", "translation", "cutout")},
    "adaptive": Adaptive(start=1.0),
    **{
        f"adaptive {name}": Adaptive(start=1.0, transforms=[name]) for name in ("pixels", "geometry", "color", "cutout")
    },
}


def pictures(n=6, channels=3, size=8):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_change_and_keep_their_shape(name, channels):
    images = pictures(channels=channels)
    with noise.shared(1):
        changed = AUGMENTATIONS[name](images)
    assert changed.shape == images.shape and changed.dtype == images.dtype
    assert changed.isfinite().all()
    assert not torch.equal(changed, images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_first_and_second_derivatives_are_right(name):
    images = pictures(2, 3, 4).double().requires_grad_()

    def augment(images):
        with noise.shared(3):
            return AUGMENTATIONS[name](images)

    assert torch.autograd.gradcheck(augment, images)
    assert torch.autograd.gradgradcheck(lambda images: augment(images).square(), images)


def test_a_gradient_penalty_goes_through_augmentation():
    weight = torch.randn(3 * 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    augmentation = Adaptive(start=1.0)
    size = R1()(
        lambda x: (augmentation(x).flatten(1) @ weight).tanh(), pictures(), pictures(), Clock("adversarial", 0, 1)
    )
    size.backward()
    assert weight.grad.abs().sum() > 0


def test_probability_0_changes_nothing_at_all():
    images = pictures()
    assert torch.equal(Adaptive()(images), images)


def test_about_as_many_images_are_changed_as_the_probability_says():
    images = pictures(1).expand(2000, -1, -1, -1)
    with noise.shared(0):
        changed = Adaptive(start=0.3, transforms=["geometry"])(images)
    touched = (changed != images).flatten(1).any(1).float().mean().item()
    assert touched == pytest.approx(1 - 0.7**4, abs=0.04)


def test_geometry_is_drawn_as_published(monkeypatch):
    """Scale, rotation, stretch by (s, 1/s), rotation, shift; of the maps from the result's places to the image's."""
    seen = []
    monkeypatch.setattr(augmentation_module, "resample", lambda images, *places: seen.append(places) or images)

    def maps(probability, count):
        with noise.shared(0):
            Adaptive(start=probability, transforms=["geometry"])(torch.zeros(count, 1, 2, 2, dtype=torch.float64))
        return seen.pop()

    matrix, offset = maps(1.0, 20_000)
    large, small = torch.linalg.svdvals(matrix).log2().unbind(1)
    # The sum and the difference of both are twice the logarithms of scale and stretch, the latter without its sign.
    assert (large + small).std().item() == pytest.approx(0.4, rel=0.03)
    assert (large - small).square().mean().sqrt().item() == pytest.approx(0.4, rel=0.03)
    left, _, right = torch.linalg.svd(matrix)
    for turn in (left, right):
        along = torch.view_as_complex(turn[:, :, 0].contiguous()) ** 2
        assert along.mean().abs() < 0.03  # any direction
    # The shift is that of the result, in half images.
    moved = torch.linalg.solve(matrix, offset[:, :, None])
    assert moved.std().item() == pytest.approx(0.25, rel=0.03) and moved.abs().max() > 0.7
    matrix, _ = maps(0.5, 20_000)
    upright = (matrix[:, 0, 1] == 0) & (matrix[:, 1, 0] == 0)
    assert upright.double().mean().item() == pytest.approx(0.5, abs=0.015)
    stretched = (matrix[:, 0, 0] - matrix[:, 1, 1]).abs()[upright] > 1e-12
    assert stretched.double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_the_probability_follows_the_sign_of_real_logits():
    augmentation = Adaptive(target=0.6, samples=1000, start=0.5)
    for _ in range(10):
        augmentation.begin(Clock("adversarial", 0, 1, batch_size=20))
        augmentation.observe(torch.full((20,), 3.0))
    # The mean of signs, smoothed over four batches, needs four of them to pass 0.6.
    assert augmentation.probability.item() == pytest.approx(0.5 + 0.02 * (7 - 3))
    for _ in range(100):
        augmentation.begin(Clock("adversarial", 0, 1, batch_size=20))
        augmentation.observe(torch.tensor([1.0, -1.0] * 10))
    assert augmentation.probability.item() == 0
    for _ in range(100):
        augmentation.begin(Clock("adversarial", 0, 1, batch_size=20))
        figures = augmentation.observe(torch.full((20,), 0.1))
    assert figures["augmentation"].item() == 1
    assert augmentation.state_dict().keys() == {"probability", "overfitting"}


def test_the_probability_of_micro_batches_is_that_of_their_batch():
    whole, parts = Adaptive(samples=100, start=0.5), Adaptive(samples=100, start=0.5)
    for step in range(6):
        logits = torch.randn(12) + 0.5
        whole.begin(Clock("adversarial", step, 6, batch_size=12))
        whole.observe(logits)
        for micro, rows in enumerate(logits.split(4)):
            parts.begin(Clock("adversarial", step, 6, batch_size=12, micro=micro, accumulate=3))
            parts.observe(rows)
        assert all(torch.allclose(it, parts.state_dict()[name]) for name, it in whole.state_dict().items())


def test_the_probability_may_follow_a_schedule_and_that_of_colours_be_a_share_of_it():
    augmentation = Adaptive(scheduled=Schedule(0, 0.8, until=0.5), color_share=0.5, transforms=["color", "cutout"])
    images = torch.full((4000, 1, 8, 8), 0.5)
    for step, probability in ((0, 0.0), (25, 0.4), (50, 0.8), (100, 0.8)):
        augmentation.begin(Clock("adversarial", step, 101))
        augmentation.observe(torch.full((20,), 3.0))
        assert augmentation.probability.item() == pytest.approx(probability)
        with noise.shared(step):
            changed = augmentation(images)
        cut = (changed == 0).flatten(1).any(1).double().mean().item()
        assert cut == pytest.approx(probability, abs=0.03)
    # Of three transforms of grey images, one of which tosses a coin: brightness, contrast, luma flip.
    with noise.shared(5):
        touched = (augmentation.color(images) != images).flatten(1).any(1).double().mean().item()
    assert touched == pytest.approx(1 - 0.6 * 0.6 * 0.8, abs=0.03)


def test_cutout_leaves_a_square_of_half_the_size_anywhere():
    with noise.shared(0):
        removed = (Adaptive(start=1.0, transforms=["cutout"])(torch.ones(2000, 1, 8, 8)) == 0).flatten(1).sum(1)
    # Across, a centre is within a quarter of a border in half of all cases, and three quarters are inside then.
    assert removed.max() == 16 and removed.double().mean().item() == pytest.approx(16 * 0.875**2, rel=0.03)


def test_images_are_shifted_down_and_right_with_grey_or_their_mirror_image_coming_in():
    images = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    assert shift(images, torch.tensor([[1, 0]])).tolist() == [[[[0, 0, 0], [1, 2, 3], [4, 5, 6]]]]
    assert shift(images, torch.tensor([[0, -1]])).tolist() == [[[[2, 3, 0], [5, 6, 0], [8, 9, 0]]]]
    mirrored = shift(images, torch.tensor([[1, 0]]), mirrored=True)
    assert mirrored.tolist() == [[[[4, 5, 6], [1, 2, 3], [4, 5, 6]]]]


def test_a_window_may_lie_partly_outside():
    found = window(torch.zeros(1, 3, 4, 4), torch.tensor([[-1, 2]]), 2)
    assert found.int().tolist() == [[[[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]]


def test_cutout_removes_at_most_a_quarter_of_an_image():
    images = torch.ones(200, 1, 8, 8)
    with noise.shared(0):
        removed = (DiffAugment(policy=["cutout"])(images) == 0).flatten(1).sum(1)
    assert removed.max() == 16 and removed.min() >= 4


def test_resampling_agrees_with_torch():
    images, generator = pictures(4, 2, 6).double(), torch.Generator().manual_seed(2)
    matrix = torch.eye(2).double() * 0.5 + 0.1 * torch.randn(4, 2, 2, generator=generator).double()
    offset = 0.1 * torch.randn(4, 2, generator=generator).double()
    grid = torch.nn.functional.affine_grid(
        torch.cat([matrix, offset[:, :, None]], 2), [4, 2, 6, 6], align_corners=False
    )
    expected = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    assert torch.allclose(resample(images, matrix, offset), expected, atol=1e-12)


def test_a_quarter_turn_is_a_rotation_of_the_grid():
    images = pictures(1)
    turn = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    assert torch.allclose(resample(images, turn, torch.zeros(1, 2)), images.rot90(1, (2, 3)), atol=1e-5)


def test_colour_transforms_keep_what_they_should():
    images = pictures(64)
    with noise.shared(0):
        changed = DiffAugment(policy=["color"])(images)
    # Saturation and contrast turn about means; brightness alone moves the mean of an image, by at most a half.
    moved = (changed - images).mean((1, 2, 3))
    assert moved.abs().max() <= 0.5 + 1e-5 and moved.std() == pytest.approx(1 / math.sqrt(12), abs=0.05)


def test_consistency_is_the_squared_change_of_logits_under_augmentation():
    real, fake = pictures(), -pictures()
    weight = torch.randn(3 * 64, generator=torch.Generator().manual_seed(1))
    augmentation, clock = DiffAugment(), Clock("adversarial", 0, 1)
    for fakes in (False, True):
        with noise.shared(2):
            found = Consistency(augmentation=augmentation, weight=4.0, fakes=fakes)(
                lambda x: x.flatten(1) @ weight, real, fake, clock
            )
        with noise.shared(2):
            changes = [augmentation(images) - images for images in ([real, fake] if fakes else [real])]
        expected = sum(4 * (change.flatten(1) @ weight).square().mean() for change in changes)
        assert found.item() == pytest.approx(expected.item(), rel=1e-4)
