"""Samples under another language model: figures against its own likelihoods, taken text by text."""

import pytest
import torch

import gangen
from gangen.errors import RecipeError, UsageError
from gangen_text.metrics.generative_nll import ROWS_AT_ONCE

COUNT = ROWS_AT_ONCE + 7


@pytest.fixture
def play(tmp_path, data):
    """``play(name, **overrides)``: a run on captions with a label, of a few steps."""
    texts = sorted(set(data.codec.decode(data.train.rows()["tokens"])))
    table = tmp_path / "captions.csv"
    table.write_text("text,label\n" + "".join(f"{text},{'the' if 'the' in text else 'one'}\n" for text in texts))

    def make(name, **overrides):
        recipe = {
            "data": {
                "use": "text/lines",
                "path": str(table),
                "label_column": "label",
                "tokenizer": "words",
                "heldout": 0.1,
            },
            "players": {"generator": {"use": "text/lstm", "embedding_dim": 8, "hidden_dim": 8}},
            "objective": "text/seqgan",
            "phases": {"imitate": {"steps": 3, "turns": {"imitate": 1}}},
            "trainer": {"batch_size": 8, "threads": 1},
            "every": {"sample": 0},
        }
        return gangen.train(recipe, run=str(tmp_path / name), **overrides)

    return make


def generative_nll(run, model):
    result = gangen.evaluate(run, [{"use": "text/generative_nll", "model": str(model), "samples": COUNT}], sweep={})
    return result.figures["generative_nll"]


def test_under_a_run_it_is_the_mean_over_tokens_by_label(play, monkeypatch):
    run, other = play("run"), play("other", seed=1, **{"players.generator.hidden_dim": 16})
    seen = []
    judge = type(other.model.networks["generator"])
    original = judge.log_prob

    def spied(self, tokens, condition=None, **options):
        if self.lstm.hidden_size == 16:
            seen.append((tokens, condition["label"]))
        return original(self, tokens, condition, **options)

    monkeypatch.setattr(judge, "log_prob", spied)
    figure = generative_nll(run, other.folder)
    monkeypatch.undo()
    net = other.model.networks["generator"]
    for found in (figure.value, figure.real):
        nats, tokens, texts = 0.0, 0, 0
        while texts < COUNT:
            rows, labels = seen.pop(0)
            for row, label in zip(rows, labels, strict=True):
                row = row[net.spec.mask(row[None])[0]]
                nats -= net.log_prob(row[None], {"label": label[None]}).sum().item()
                tokens += len(row)
            texts += len(rows)
        assert texts == COUNT
        assert found == pytest.approx(nats / tokens, abs=1e-5)
    assert not seen
    assert figure.good == "real"


def test_under_a_model_of_transformers_it_is_that_of_its_own_tokens_behind_its_start(play, llama):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = play("run")
    figure = generative_nll(run, llama)
    net, tokenizer = AutoModelForCausalLM.from_pretrained(llama).eval(), AutoTokenizer.from_pretrained(llama)
    assert tokenizer.bos_token_id is not None

    heldout = held_out_texts(run)
    expected = [own_nll(net, tokenizer, text) for text in heldout]
    assert figure.real == pytest.approx(sum(nats for nats, _ in expected) / sum(n for _, n in expected), abs=1e-5)
    assert figure.value > 0


def held_out_texts(run):
    """As many as are compared, as they are read for figures."""
    recipe, registry = gangen.api.read(run.folder / "recipe.yaml", {})
    data = registry.build(recipe.data)
    rows = data.heldout.batch(0, range(COUNT), COUNT, seed=recipe.seed, device="cpu")
    return data.codec.decode(rows["tokens"])


@torch.no_grad()
def own_nll(net, tokenizer, text):
    """(nats, tokens) of one text by the chain rule, a token at a time; no more than the model reads."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][: net.config.max_position_embeddings - 1]
    read, nats = [tokenizer.bos_token_id], 0.0
    for token in ids:
        nats -= net(input_ids=torch.tensor([read])).logits[0, -1].log_softmax(-1)[token].item()
        read.append(token)
    return nats, len(ids)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data.vocab_size": 30}, "/other has other tokens than these data; name one of the same data"),
        ({"data.max_length": 20}, "/other reads texts of another length, or by other labels or prompts"),
    ],
)
def test_a_model_of_other_tokens_or_lengths_is_refused(play, changes, reason):
    run, other = play("run"), play("other", **changes)
    with pytest.raises(UsageError, match=reason):
        generative_nll(run, other.folder)


def test_a_model_without_labels_reads_texts_that_have_some(play):
    run, other = play("run"), play("other", **{"data.label_column": None})
    assert generative_nll(run, other.folder).value > 0
    with pytest.raises(UsageError, match="reads texts of another length, or by other labels"):
        generative_nll(other, run.folder)


def test_what_cannot_be_opened_ends_a_run_before_it_begins(play, tmp_path):
    with pytest.raises(
        (RecipeError, UsageError), match=r"metric text/generative_nll cannot open model .*no such folder"
    ):
        play("run", metrics=[{"use": "text/generative_nll", "model": str(tmp_path / "nothing")}])
    assert not (tmp_path / "run" / "checkpoints").exists()
