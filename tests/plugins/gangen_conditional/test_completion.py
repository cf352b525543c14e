"""Filling what is missing of pictures: what is kept, what is found, what is refused, and how it is measured."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gangen import Players, TensorSplit, UsageError, noise
from gangen_conditional.data.derived import mask_halves
from gangen_conditional.data.pairs import Pairs
from gangen_conditional.metrics.completion import Completion as Metric
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.samplers.completion import Completion
from gangen_image import ImageCodec, ImageSpec

SIDE = 8


class Generator(torch.nn.Module):
    """The first number of a latent is the grey of the upper half, the second of the lower one, which follows it."""

    def latent(self, n):
        return noise.normal(n, 2)

    def forward(self, latent):
        upper = latent[:, :1].tanh()
        lower = -upper
        rows = torch.cat([upper.expand(-1, 4), lower.expand(-1, 4)], dim=1)
        return rows[:, None, :, None].expand(-1, 1, SIDE, SIDE)


class Encoder(torch.nn.Module):
    def forward(self, images):
        return Gaussian(images.mean((1, 2, 3))[:, None].expand(-1, 2), torch.zeros(len(images), 2))


@pytest.fixture
def sampler():
    return Completion(Players({"generator": Generator(), "encoder": Encoder()}), starts=3, steps=80, noise=0.1)


def halves(grey=200):
    picture = torch.full((1, 1, SIDE, SIDE), 255 - grey, dtype=torch.uint8)
    picture[:, :, :4] = grey
    hole = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    hole[:, :, 4:] = 255
    return picture, hole


def test_what_is_given_is_kept_and_what_is_missing_follows_from_it(sampler):
    picture, hole = halves()
    with torch.no_grad(), noise.shared(0):
        found = sampler.sample(1, {"input": picture.masked_fill(hole > 0, 128), "mask": hole})
    truth = picture / 127.5 - 1
    assert torch.equal(found[:, :, :4], truth[:, :, :4])
    torch.testing.assert_close(found[:, :, 4:], truth[:, :, 4:], rtol=0, atol=0.05)


def test_rows_do_not_depend_on_their_neighbours(sampler):
    picture, hole = halves()
    with torch.no_grad(), noise.by_row([4, 5]):
        both = sampler.sample(2, {"input": picture.expand(2, -1, -1, -1), "mask": hole.expand(2, -1, -1, -1)})
    with torch.no_grad(), noise.by_row([5]):
        alone = sampler.sample(1, {"input": picture, "mask": hole})
    torch.testing.assert_close(both[1:], alone)


def test_a_mask_may_be_a_picture_or_a_path(sampler, tmp_path):
    picture, hole = halves()
    white = Image.fromarray(hole[0, 0].numpy())
    white.save(tmp_path / "mask.png")
    found = []
    for given in (white, tmp_path / "mask.png", str(tmp_path / "mask.png")):
        with torch.no_grad(), noise.shared(0):
            found.append(sampler.sample(1, {"input": picture}, mask=given))
    with torch.no_grad(), noise.shared(0):
        found.append(sampler.sample(1, {"input": picture, "mask": hole}))
    assert all(torch.equal(it, found[0]) for it in found)


def test_bad_masks_are_told(sampler, tmp_path):
    picture, _ = halves()
    (tmp_path / "text.png").write_text("no picture")
    Image.new("L", (9, 7)).save(tmp_path / "other.png")
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "black.png")
    for name, message in {
        "absent.png": "there is no mask .*absent.png",
        "text.png": "mask .*text.png cannot be read: it is no picture",
        "other.png": "other.png is 9 x 7; this model's pictures are 8 x 8, and so are masks",
        "black.png": "black.png has no hole: make white what is to be filled",
    }.items():
        with pytest.raises(UsageError, match=message):
            sampler.sample(1, {"input": picture}, mask=tmp_path / name)
    with pytest.raises(UsageError, match=r"nothing of this picture is missing: .* white where it is, 8 x 8"):
        sampler.sample(1, {"input": picture})


def test_the_verb_reconstruct_needs_no_mask(sampler):
    picture, _ = halves()
    code = (picture / 127.5 - 1).mean()
    torch.testing.assert_close(sampler.reconstruct(1, {"input": picture})[0, 0, 0, 0], code.tanh())


def test_holes_are_halves_in_turn():
    images = torch.randint(256, (6, 3, SIDE, SIDE), dtype=torch.uint8)
    found = mask_halves(images)["mask"][:, 0] > 0
    lower, upper, left, right, again, _ = found
    assert lower[4:].all() and not lower[:4].any() and torch.equal(upper, ~lower) and torch.equal(again, lower)
    assert left[:, :4].all() and not left[:, 4:].any() and torch.equal(right, ~left)
    shown = mask_halves(images)["input"].permute(0, 2, 3, 1)
    assert (shown[found] == 128).all() and torch.equal(shown[~found], images.permute(0, 2, 3, 1)[~found])


def test_pairs_with_holes_show_them_on_sheets(tmp_path):
    chance = np.random.default_rng(0)
    images = torch.from_numpy(chance.integers(256, size=(12, 1, SIDE, SIDE), dtype=np.uint8))
    source = SimpleNamespace(
        codec=ImageCodec(ImageSpec(1, SIDE)), train=TensorSplit(image=images[:8]), heldout=TensorSplit(image=images[8:])
    )
    row = Pairs(of=source, input="mask").sheet()[1]
    assert list(row.condition) == ["input", "mask"] and all(len(it) == 1 for it in row.condition.values())
    assert torch.equal(row.condition["mask"], mask_halves(images[8:])["mask"][1:2])


class Context(SimpleNamespace):
    device, seed = torch.device("cpu"), 0

    def samples(self, n):
        rows = self.data.heldout.batch(0, range(n), n, seed=0, device="cpu")
        return self.data.codec.samples_of(rows) + 0.5 * (rows["mask"] > 0) + 7 * (rows["mask"] == 0)


def test_errors_are_those_of_the_holes_beside_nearest_neighbours():
    chance = torch.Generator().manual_seed(0)
    images = torch.randint(100, (30, 1, SIDE, SIDE), generator=chance, dtype=torch.uint8)
    codec = ImageCodec(ImageSpec(1, SIDE))
    columns = {"image": images, "mask": mask_halves(images)["mask"]}
    train, held = ({name: it[rows] for name, it in columns.items()} for rows in (slice(20), slice(20, 30)))
    data = SimpleNamespace(codec=codec, train=TensorSplit(**train), heldout=TensorSplit(**held))
    found = Metric(samples=100)(Context(data=data, training=data.train))
    expected = []
    for image, hole in zip(held["image"].float() / 127.5 - 1, held["mask"] > 0, strict=True):
        others = train["image"].float() / 127.5 - 1
        nearest = min(others, key=lambda other: ((other - image)[~hole] ** 2).sum())
        expected.append((nearest - image)[hole])
    assert found["completion_error"].value == pytest.approx(0.25)
    assert found["completion_l1"].value == pytest.approx(0.5)
    assert found["nearest_error"].value == pytest.approx(torch.cat(expected).square().mean().item())
    assert found["nearest_l1"].value == pytest.approx(torch.cat(expected).abs().mean().item())
    assert found["completion_ratio"].value == pytest.approx(0.25 / found["nearest_error"].value)


def test_the_metric_wants_pictures_with_holes():
    plain = TensorSplit(image=torch.zeros(4, 1, SIDE, SIDE, dtype=torch.uint8))
    with pytest.raises(UsageError, match="needs pictures with a hole, as conditional/pairs has with input: mask"):
        Metric().check(Context(data=SimpleNamespace(heldout=plain), training=plain))
