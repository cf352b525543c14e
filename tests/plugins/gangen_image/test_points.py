"""Points stand on their modes, and their codec draws them."""

import sys

import pytest
import torch
from PIL import Image

from gangen.contracts import SheetRow
from gangen.errors import DataError, UsageError
from gangen_image.data.points import PointCodec, Points

pytest.importorskip("matplotlib", reason="matplotlib draws the points")

MODES = {"ring": 8, "grid": 25, "normal": 1}


@pytest.mark.parametrize("shape", MODES)
def test_points_surround_their_modes(shape):
    data = Points(shape=shape, size=4000, heldout_size=100)
    points = data.train.rows()["image"]
    assert points.shape == (4000, 2) and points.dtype == torch.float32
    assert data.heldout.rows()["image"].shape == (100, 2)
    assert len(data.modes) == MODES[shape]
    distances, nearest = torch.cdist(points, data.modes).min(dim=1)
    assert torch.bincount(nearest, minlength=MODES[shape]).min() > 4000 / MODES[shape] / 2
    # Of a Gaussian in the plane, the mean squared distance from the centre is 2 sd².
    assert float(distances.square().mean() / 2) == pytest.approx(data.sd**2, rel=0.1)


def test_modes_are_where_the_literature_has_them():
    assert Points(size=1).modes.norm(dim=1).tolist() == pytest.approx([1.0] * 8)
    assert Points(shape="grid", size=1).modes.abs().max() == 4
    assert (Points(size=1).sd, Points(shape="grid", size=1).sd, Points(sd=0.3, size=1).sd) == (0.01, 0.05, 0.3)


def test_points_are_a_function_of_the_seed():
    first, again, other = (Points(size=10, seed=seed).train.rows()["image"] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_points_have_no_labels():
    codec = Points(size=1).codec
    assert codec.prompts() == [""] and codec.encode(None, 3) == {}
    with pytest.raises(UsageError, match="points have no labels"):
        codec.encode("left", 1)


def test_sheets_are_scatter_plots_of_one_scale(tmp_path):
    data = Points(shape="ring", size=50)
    codec = data.codec
    sheet = [SheetRow("", samples=codec.decode(data.train.rows()["image"]))]
    path = codec.render(sheet, tmp_path / "step-1")
    assert path == tmp_path / "step-1.png"
    picture = Image.open(path).convert("RGB")
    blank = Image.open(codec.render([SheetRow("", samples=[(99.0, 99.0)])], tmp_path / "blank")).convert("RGB")
    assert picture.size == blank.size and picture.tobytes() != blank.tobytes()


def test_points_are_written_as_numbers_or_as_a_plot(tmp_path):
    codec = Points(size=1).codec
    points = codec.decode(torch.tensor([[0.5, -1.0], [0.25, 2.0]]))
    assert points == [(0.5, -1.0), (0.25, 2.0)]
    codec.write(points, tmp_path / "points.csv")
    assert (tmp_path / "points.csv").read_text().split() == ["0.5,-1.0", "0.25,2.0"]
    codec.write(points, tmp_path / "points.svg")
    assert "<svg" in (tmp_path / "points.svg").read_text()
    with pytest.raises(UsageError, match=r"use \.csv for numbers"):
        codec.write(points, tmp_path / "points.xyz")


def test_a_saved_codec_is_the_same_codec(tmp_path):
    codec = Points(shape="grid", size=1).codec
    codec.save(tmp_path)
    loaded = PointCodec.load(tmp_path)
    assert (loaded.spec, loaded.limit) == (codec.spec, codec.limit)
    (tmp_path / "codec.json").unlink()
    with pytest.raises(DataError, match=r"codec\.json cannot be read"):
        PointCodec.load(tmp_path)


def test_a_missing_matplotlib_is_named_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DataError, match=r'pip install "gangen\[demo\]"'):
        Points(size=1)
