"""Samples under another language model: figures against its own likelihoods, taken text by text."""

import json

import pytest
import torch

import gangen
from gangen.errors import RecipeError, UsageError
from gangen_text.metrics.generative_nll import ROWS_AT_ONCE, OfTransformers

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


def generative_nll(run, *models):
    """The figures, one for each model."""
    metrics = [{"use": "text/generative_nll", "model": str(model), "samples": COUNT} for model in models]
    figures = gangen.evaluate(run, metrics, sweep={}).figures
    return [figures[f"generative_nll_{model.name}"] for model in models]


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
    (figure,) = generative_nll(run, other.folder)
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


def test_under_a_model_of_transformers_it_is_that_of_its_own_tokens_behind_its_start(play, llama, monkeypatch):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    seen = []
    original = OfTransformers.__call__

    def spied(self, rows, condition):
        seen.extend(self.texts(rows))
        return original(self, rows, condition)

    monkeypatch.setattr(OfTransformers, "__call__", spied)
    monkeypatch.setattr("gangen_text.metrics.generative_nll.LOGITS_AT_ONCE", 500)  # a few texts at once
    run = play("run")
    (figure,) = generative_nll(run, llama)
    net, tokenizer = AutoModelForCausalLM.from_pretrained(llama).eval(), AutoTokenizer.from_pretrained(llama)
    assert tokenizer.bos_token_id is not None
    for found, texts in ((figure.value, seen[:COUNT]), (figure.real, seen[COUNT:])):
        assert len(texts) == COUNT
        expected = [own_nll(net, tokenizer, text) for text in texts]
        assert found == pytest.approx(sum(nats for nats, _ in expected) / sum(n for _, n in expected), abs=1e-5)


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


def test_models_stand_beside_each_other_by_name_and_one_without_labels_reads_texts_that_have_some(play):
    run, other, plain = play("run"), play("other", seed=1), play("plain", **{"data.label_column": None})
    of_other, of_plain = generative_nll(run, other.folder, plain.folder)
    assert of_other.value != of_plain.value
    with pytest.raises(UsageError, match="/run reads texts of another length, or by other labels"):
        generative_nll(plain, run.folder)


def an_encoder(folder):
    from transformers import BertConfig, BertLMHeadModel

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertLMHeadModel(BertConfig(vocab_size=16, initializer_range=0.5, **shape)).save_pretrained(folder)


def fewer_tokens_than_its_tokenizer_has(folder):
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=6, bos_token_id=0, eos_token_id=1, **shape)).save_pretrained(folder)


def neither_start_nor_end(folder):
    about = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(about | {"bos_token": None, "eos_token": None}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (an_encoder, "it reads texts in both directions, so it is no causal model"),
        (fewer_tokens_than_its_tokenizer_has, "its tokenizer has tokens up to 10, and its network knows 6"),
        (neither_start_nor_end, "its tokenizer has neither a start nor an end token"),
    ],
)
def test_a_model_that_cannot_read_texts_from_left_to_right_is_refused_before_training(spoil, reason, play, llama):
    spoil(llama)
    with pytest.raises(RecipeError, match=f"text/generative_nll cannot open model '.*tiny-llama': {reason}"):
        play("run", metrics=[{"use": "text/generative_nll", "model": str(llama)}])


def test_what_is_not_there_is_said_before_a_run_begins_and_not_looked_up_elsewhere(play, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.get_session", None)
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    for model, reason in {"runs/nothing": "there is no such folder", "runs/empty": "no model in runs/empty"}.items():
        with pytest.raises(RecipeError, match=f"text/generative_nll cannot open .*{model}.*: {reason}"):
            play("run", metrics=[{"use": "text/generative_nll", "model": model}])
    assert not (tmp_path / "run" / "checkpoints").exists()
