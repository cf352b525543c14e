"""What tests of text share: real data for known facts, in a folder named by GANGEN_DATA, made-up captions, models."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from gangen.splits import TensorSplit
from gangen_text.data.corpus import make_codec


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """``real_data("folder/file")`` is that file under GANGEN_DATA; the test is skipped where there is none."""

    def find(name: str) -> Path:
        root = os.environ.get("GANGEN_DATA")
        if not root:
            pytest.skip("GANGEN_DATA is not set: it names a folder with data for tests of known facts")
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"GANGEN_DATA has no {name}")
        return path

    return find


def caption(chance: random.Random) -> str:
    """A sentence of 5 to 11 words, one of some hundred thousands."""
    noun = ["man", "dog", "woman", "zebra", "child", "cat", "horse", "girl"]
    look = ["red", "small", "wet", "old", "young", "striped", "tall", "white"]
    verb = ["sits", "stands", "sleeps", "waits", "eats", "runs"]
    place = ["table", "street", "field", "beach", "bench", "grass", "train", "snow"]
    adjectives = " ".join(chance.sample(look, chance.randint(0, 2)))
    subject = f"a {adjectives} {chance.choice(noun)}".replace("  ", " ")
    ending = chance.choice(["", f" with a {chance.choice(look)} {chance.choice(noun)}"])
    return f"{subject} {chance.choice(verb)} on the {chance.choice(place)}{ending}."


@pytest.fixture
def captions() -> Callable[[int, int], list[str]]:
    """``captions(n, seed)``: sentences of a small grammar."""

    def make(n: int, seed: int) -> list[str]:
        chance = random.Random(seed)
        return [caption(chance) for _ in range(n)]

    return make


@pytest.fixture
def bench() -> Callable[..., SimpleNamespace]:
    """``bench(samples, train, heldout)``: what a metric is called with, for a generator that writes ``samples``."""

    def make(samples: list[str], train: list[str], heldout: list[str]) -> SimpleNamespace:
        codec = make_codec(samples + train + heldout, [], tokenizer="words", vocab_size=500, max_length=24)
        rows, *splits = (codec.pack(codec.tokenize(texts)) for texts in (samples, train, heldout))
        train, heldout = (TensorSplit(tokens=split) for split in splits)
        data = SimpleNamespace(codec=codec, train=train, heldout=heldout)
        return SimpleNamespace(
            data=data, training=train, samples=lambda n: rows[:n], seed=0, device=torch.device("cpu")
        )

    return make


@pytest.fixture
def data(captions):
    """Captions of a small grammar, labelled by whether a "the" in them was a "one"."""
    texts = captions(1500, 0)
    label = torch.arange(len(texts)) % 2
    texts = [text.replace("the", "one") if odd else text for text, odd in zip(texts, label.tolist(), strict=True)]
    codec = make_codec(texts, ["the", "one"], tokenizer="words", vocab_size=100, max_length=16)
    rows = codec.pack(codec.tokenize(texts))
    splits = [TensorSplit(tokens=rows[part], label=label[part]) for part in (slice(1300), slice(1300, None))]
    return SimpleNamespace(codec=codec, train=splits[0], heldout=splits[1])


def tokenizer_in(folder, data):
    """A tokenizer of whole words with padding of its own numbers, as a pretrained model has."""
    from transformers import PreTrainedTokenizerFast

    words = {"[PAD]": 0, "[UNK]": 1}
    for text in data.codec.decode(data.train.rows()["tokens"]):
        for word in text.split():
            words.setdefault(word, len(words))
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    return len(words)


@pytest.fixture
def bert(tmp_path, data):
    from transformers import BertConfig, BertModel

    folder = tmp_path / "tiny-bert"
    size = tokenizer_in(folder, data)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=size, initializer_range=0.5, **shape), add_pooling_layer=False).save_pretrained(
            folder
        )
    return folder


@pytest.fixture
def gpt2(tmp_path, data):
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path / "tiny-gpt2"
    size = tokenizer_in(folder, data)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2LMHeadModel(
            GPT2Config(vocab_size=size, n_positions=12, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
        ).save_pretrained(folder)
    return folder


@pytest.fixture
def llama(tmp_path):
    """A small model with its tokenizer, as transformers saves both; its table has more rows than there are tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path / "tiny-llama"
    codec = make_codec(["a b c d e f g"], [], tokenizer="words", vocab_size=30, max_length=8)
    PreTrainedTokenizerFast(
        tokenizer_object=codec.tokenizer, bos_token="<start>", eos_token="<end>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    net = LlamaForCausalLM(LlamaConfig(vocab_size=16, max_position_embeddings=12, initializer_range=0.5, **shape))
    net.save_pretrained(folder)
    return folder
