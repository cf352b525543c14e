"""What a path stands for: splits in folders of any depth, links, and what is passed over."""

import pytest

from gangen.account import Account
from gangen.errors import DataError
from gangen.reading.paths import find, has_split


def readable(file):
    return file.suffix == ".png"


def found(folder, split="train", media=True):
    return find(str(folder), split, readable, media=media)


def names(found, folder):
    return [str(file.relative_to(folder)) for file in found.files]


@pytest.mark.parametrize("inner", ["", "data/", "a/b/"])
def test_splits_are_found_below_a_folder_that_holds_all_else(touch, inner):
    folder = touch(f"{inner}train/a/1.png", f"{inner}Val/a/2.png", f"{inner}test/a/3.png", "README.md")
    for split, number in (("train", 1), ("validation", 2), ("test", 3)):
        assert [file.stem for file in found(folder, split).files] == [str(number)]
        assert has_split(str(folder), split, readable)
        assert len(found(folder, split).other_splits) == 2
    assert not has_split(str(folder), "extra", readable)


def test_shards_are_splits_by_their_names(touch):
    folder = touch("data/train-00000-of-00002.png", "data/train-00001-of-00002.png", "data/test-00000-of-00001.png")
    assert len(found(folder, media=False).files) == 2 and len(found(folder, "test", media=False).files) == 1


def test_a_folder_called_like_a_split_is_a_class_where_its_sisters_are(touch):
    folder = touch("train/1.png", "car/2.png")
    assert names(found(folder), folder) == ["car/2.png", "train/1.png"]
    assert names(found(folder, media=False), folder) == ["train/1.png"]


def test_what_may_be_splits_or_classes_is_asked(touch):
    with pytest.raises(DataError, match=r"are train and test splits, or classes as cat\?"):
        found(touch("train/1.png", "test/2.png", "cat/3.png"))


def test_hidden_and_other_files_and_links_to_nowhere_are_told(touch):
    folder = touch("1.png", ".thumbs/2.png", "__MACOSX/3.png", "notes.txt")
    (folder / "gone.png").symlink_to(folder / "nowhere")
    account = Account("x")
    account.use("to train on", 1)
    found(folder).tell(account)
    assert str(account) == (
        "x: 1 rows: 1 to train on; 1 file passed over: notes.txt; 1 link to nowhere: gone.png; 2 hidden files not read"
    )


def test_links_are_followed_and_cycles_left(touch):
    folder = touch("real/a/1.png", "other/b/2.png")
    (folder / "real/up").symlink_to(folder / "real")
    (folder / "real/there").symlink_to(folder / "other")
    (folder / "other/back").symlink_to(folder / "real")
    assert names(found(folder / "real"), folder) == ["real/a/1.png", "real/there/b/2.png"]


def test_names_with_the_signs_of_patterns_are_names(touch):
    folder = touch("set[1]/100%/a b.png", "set[1]/new\nline/*.png")
    assert len(found(folder / "set[1]").files) == 2


def test_a_pattern_matches_files_and_a_slash_at_the_end_means_nothing(touch):
    folder = touch("a/1.png", "b/2.png")
    assert names(found(folder / "*/*.png"), folder) == names(found(f"{folder}/"), folder) == ["a/1.png", "b/2.png"]
    assert not found(folder / "*.jpg").files
