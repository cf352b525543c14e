"""Images of several kinds: styles as labels, what is held out, what is kept, and what is refused."""

import pytest
import torch

from gangen import DataError
from gangen_conditional.data.domains import STYLES, Domains


def epoch(data, n, size=4):
    """The columns of ``n`` rows, batch by batch."""
    batches = [data.train.batch(it, range(size), size, seed=0, device="cpu") for it in range(n // size)]
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def keys(pictures):
    return {picture.numpy().tobytes() for picture in pictures}


def test_each_picture_is_trained_on_in_one_style_which_is_its_label(images):
    source, styles = images(60), ["red", "blue", "negative"]
    data = Domains(of=source, styles=styles)
    rows = epoch(data, 60)
    assert data.codec.spec.labels == ("red", "blue", "negative")
    plain = source.train.rows()["image"]
    for number, style in enumerate(styles):
        found = keys(rows["image"][rows["label"] == number])
        assert found <= keys(STYLES[style](plain))
        assert found == keys(rows["input"][rows["input_label"] == number])
    assert len(keys(rows["image"])) == 60
    assert not rows["label"].equal(rows["input_label"])


def test_styles_are_what_they_are_called():
    grey = torch.tensor([0, 100, 255], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(-1, -1, 4, 4)
    assert STYLES["negative"](grey)[:, :, 0, 0].tolist() == [[255] * 3, [155] * 3, [0] * 3]
    red, green, blue = STYLES["red"](grey)[2, :, 0, 0].tolist()
    assert red == 255 and green == blue == 51
    assert not STYLES["outline"](grey).any()


def test_held_out_rows_have_the_truth_in_another_style_and_the_label_that_is_kept(images):
    source, styles = images(20, held=40), ["red", "negative", "green"]
    data = Domains(of=source, styles=styles)
    rows, plain = data.heldout.rows(), source.heldout.rows()
    assert (rows["label"] != rows["input_label"]).all()
    for name, label in (("image", "label"), ("input", "input_label")):
        for row in range(40):
            style = STYLES[styles[rows[label][row]]]
            assert rows[name][row].equal(style(plain["image"][row : row + 1])[0])
    assert rows["kept"].equal(plain["label"])
    assert data.kept.codec.spec.labels == ("a", "b")
    assert data.kept.heldout.rows()["image"].equal(rows["input"])


def test_labels_of_the_data_may_be_the_domains(images):
    data = Domains(of=images(20, labels=("cat", "dog", "owl")), styles=[])
    rows = data.heldout.rows()
    assert data.codec.spec.labels == ("cat", "dog", "owl")
    assert keys(rows["image"]) == keys(rows["input"])
    assert data.kept is None
    row = data.sheet()[0]
    assert (row.title, row.n, row.condition["label"].tolist()) == ("cat", 3, [0, 1, 2])
    assert (row.condition["input"] == row.condition["input"][:1]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": ()}, "the source has no labels"),
        ({"styles": ["red"]}, "two styles or more, each once"),
        ({"styles": ["red", "red"]}, "two styles or more, each once"),
    ],
)
def test_what_has_no_domains_is_refused(options, said, images):
    styles = options.pop("styles", [])
    with pytest.raises(DataError, match=said):
        Domains(of=images(20, **options), styles=styles)
