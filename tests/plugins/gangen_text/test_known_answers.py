"""Figures of real captions against real captions, whose answers are known."""

import gzip
from types import SimpleNamespace

import pytest
import torch

from gangen.metrics.divergence import frontier_score
from gangen.splits import TensorSplit
from gangen_text.data.corpus import make_codec
from gangen_text.extractors.encoder import Encoder
from gangen_text.extractors.topics import Topics

EACH = 2000


@pytest.fixture
def captions_of(real_data):
    """``captions_of(name)`` are the lines of that file, in an order that has nothing to do with the file's."""

    def read(name):
        with gzip.open(real_data(f"coco_captions/{name}.txt.gz"), "rt", encoding="utf-8") as lines:
            texts = [line.strip() for line in lines]
        order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0))
        return [texts[place] for place in order.tolist()]

    return read


def test_halves_of_one_set_are_one_distribution_and_the_files_of_texygen_are_two(captions_of):
    """Its train and test files show other things: kitchens and bathrooms, and then baseball and zebras."""
    texts = captions_of("iid_train")
    codec = make_codec(texts, [], tokenizer="words", vocab_size=5000, max_length=40)

    def rows(lines):
        return codec.pack([tokens[:39] for tokens in codec.tokenize(lines)])

    data = SimpleNamespace(codec=codec, train=TensorSplit(tokens=rows(texts)))
    topics, encoder = Topics(), Encoder()
    for extractor in (topics, encoder):
        extractor.fit(data, torch.device("cpu"))
    heldout = rows(captions_of("iid_test")[: 2 * EACH])
    train, test = (rows(captions_of(f"texygen_{name}")[:EACH]) for name in ("train", "test"))
    for extractor in (topics, encoder):
        first, second = extractor.features(heldout).split(EACH)
        assert frontier_score(first, second) > 0.95
    assert frontier_score(topics.features(train), topics.features(test)) < 0.3
    # Both are well-formed English: what has learned to see that and no labels sees little else.
    assert frontier_score(encoder.features(train), encoder.features(test)) > 0.9
